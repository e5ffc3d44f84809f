"""A window's run, and what is left of it when a step fails: which state the site is in, and what users read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy import outbox
from dojo_deploy.backups import catalogue
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import Warned
from dojo_deploy.plan import Gate
from dojo_deploy.windows import diary
from tests.notifiers.page import TOKEN, Page, status_page
from tests.windows.bed import Bed


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    made = Bed(tmp_path)
    made.scheduled()
    return made


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with status_page() as page:
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "page-url").write_text(page.url)
        yield page


def backups(bed: Bed) -> int:
    return len(catalogue.read(bed.store()).backups)


def test_the_work_is_done_behind_the_page_and_after_the_backup(page: Page, bed: Bed) -> None:
    result = bed.begin()

    assert (result.verdict, result.exit_code) == ("done", 0), result.reason
    assert bed.log() == [
        "close",
        "settle",
        "dump, page up",
        "close",  # proven once more, before the first line of work
        "first",
        "second",
        "verify -c default_transaction_read_only=on",
        "open",
    ]
    assert bed.stands_open() and bed.state() == "over done" and backups(bed) == 1
    assert page.course == ["in_progress", "verifying", "completed"]
    assert bed.known("v1").run == "earlier", "a maintenance says nothing of a release"


def test_the_worker_ends_before_the_dump_and_begins_before_users_come(bed: Bed) -> None:
    result = bed.begin(work=(bed.line("first"),), verify=())

    assert result.verdict == "done"
    names = [step for step, *_ in result.plan.steps()] if result.plan else []
    stages = list(dict.fromkeys(name.split("/")[0] for name in names))
    assert stages == [
        "announce",
        "close",
        "pause workers",
        "backup",
        "stay closed",
        "work: first",
        "verified",
        "ready",
        "begin workers",
        "open",
        "opened",
        "watch",
        "over",
    ]


@pytest.mark.parametrize("fault", ["close", "settle", "dump"])
def test_what_fails_before_the_work_opens_the_site_again(page: Page, bed: Bed, fault: str) -> None:
    (bed.doors / f"fault-{fault}").touch()

    result = bed.begin()

    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert bed.stands_open() and bed.state() == "scheduled" and backups(bed) == 0
    assert "first" not in bed.log()
    assert page.course == ["in_progress", "scheduled"]


@pytest.mark.parametrize("fault", ["first", "second"])
def test_work_that_fails_is_undone_and_the_page_stays(page: Page, bed: Bed, fault: str) -> None:
    (bed.doors / f"fault-{fault}").touch()

    result = bed.begin()

    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert "stays in maintenance" in result.reason and "invoke maintenance.abort" in result.reason
    assert bed.stands_closed() and bed.state() == "closed" and backups(bed) == 1
    undone = [line for line in bed.log() if line.startswith("un")]
    assert undone == (["unfirst"] if fault == "first" else ["unsecond", "unfirst"])
    assert page.course == ["in_progress", "in_progress"] and "problem" in page.one["message"]

    back = bed.begin(how="aborted")

    assert (back.verdict, back.exit_code) == ("done", 0), back.reason
    assert bed.stands_open() and bed.state() == "over aborted"
    assert page.course[-2:] == ["verifying", "completed"]


def test_a_point_of_no_return_keeps_the_work_before_it(bed: Bed) -> None:
    (bed.doors / "fault-third").touch()
    work = (bed.line("first"), bed.line("second", point_of_no_return=True), bed.line("third"))

    result = bed.begin(work=work)

    assert result.verdict == "rolled back" and "second has no way back" in result.reason
    assert [line for line in bed.log() if line.startswith("un")] == ["unthird"]
    assert bed.stands_closed() and bed.state() == "closed"


def test_a_failed_verification_leaves_the_page_up_and_a_second_attempt_never_opens_by_itself(bed: Bed) -> None:
    from dojo_deploy.strategies import Check

    result = bed.begin(verify=(Check("exit 3", name="look"),))
    assert (result.exit_code, bed.stands_closed(), bed.state()) == (20, True, "closed")

    (bed.doors / "fault-dump").touch()
    again = bed.begin()
    assert (again.exit_code, bed.stands_closed(), bed.state()) == (20, True, "closed"), "not even before its work"

    (bed.doors / "fault-dump").unlink()
    assert bed.begin().verdict == "done"
    assert bed.stands_open() and bed.state() == "over done"


def test_a_sick_site_is_not_opened(bed: Bed) -> None:
    (bed.base / "web2" / "web-blue").write_text("somebody else's")
    gate = Gate(probes=("up",), every=0.01, grace=0.0, within=1.0, in_a_row=1)

    result = bed.begin(gate=gate)

    assert (result.exit_code, bed.is_closed(), bed.state()) == (20, True, "closed")
    assert bed.begin(how="aborted", gate=gate).exit_code == 20 and bed.is_closed()


def test_a_failed_opening_is_closed_again(bed: Bed) -> None:
    (bed.doors / "fault-open").touch()

    result = bed.begin()

    assert result.exit_code == 20 and "verified, and stays" in result.reason
    assert bed.stands_closed() and bed.log()[-2:] == ["open", "close"]
    (bed.doors / "fault-open").unlink()
    assert bed.begin(how="done").verdict == "done"
    assert bed.stands_open() and bed.log().count("first") == 1


def test_what_the_watch_finds_leaves_users_on_the_site(page: Page, bed: Bed) -> None:
    gate = Gate(probes=("up",), every=0.01, grace=0.0, within=1.0, in_a_row=1)
    sick = f"rm -f {bed.base}/web2/web-blue"
    # The page goes down, and then a host turns sick: the status page is the place that hears of it in between.
    (bed.doors / "after-open").write_text(sick)

    result = bed.begin(gate=gate, watch=1.0)

    assert (result.exit_code, bed.is_closed(), bed.state()) == (20, False, "opened"), result.reason
    assert "open to users" in result.reason
    assert page.course[-2:] == ["verifying", "verifying"] and "not as it should be" in page.one["message"]
    (bed.base / "web2" / "web-blue").write_text("v1")
    assert bed.begin(how="done").verdict == "done"
    assert bed.stands_open() and bed.state() == "over done" and bed.log().count("open") == 1


def test_without_work_the_run_ends_closed_and_finish_opens(bed: Bed) -> None:
    assert bed.begin(work=(), verify=()).verdict == "done"
    assert bed.stands_closed() and bed.state() == "closed" and backups(bed) == 1

    assert bed.begin(how="done").verdict == "done"
    assert bed.stands_open() and bed.state() == "over done"


def test_a_page_that_is_down_holds_nobody_up_and_is_told_later(page: Page, bed: Bed) -> None:
    page.down()

    assert bed.begin().verdict == "done"

    assert bed.stands_open()
    assert [letter.notice.status for box in outbox.waiting(bed.store()) for letter in box.waiting] == [
        "in_progress",
        "verifying",
        "completed",
    ]
    page.up()
    with bed.opened() as session:
        (window,) = diary.read(session.store)
        outbox.deliver(session, window.id)
    assert page.course == ["in_progress", "verifying", "completed"]


def test_an_overrun_is_warned_of_before_the_end_and_named_at_it(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.scheduled(ahead=-7.0, lasts=9.0)

    bed.begin(work=(bed.line("first"), bed.line("second"), *(slow(bed),)), verify=())

    texts = [event.text for event in bed.events if isinstance(event, Warned)]
    soon = [text for text in texts if text.startswith("80%")]
    over = [text for text in texts if "has ended" in text]
    # A machine that is slow to begin has no time left to be warned of.
    assert len(over) == 1 and (not soon or texts.index(soon[0]) < texts.index(over[0]))
    assert "maintenance.extend" in over[0] and "maintenance.abort" in over[0]


def slow(bed: Bed) -> object:
    from dojo_deploy.strategies import Work

    until = f"for i in $(seq 100); do [ $(date +%s%N) -gt $(cat {bed.base}/until) ] && exit 0; sleep 0.05; done; exit 1"
    import time

    (bed.base / "until").write_text(str(time.time_ns() + 3_000_000_000))
    return Work(until, name="slow")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"balancer": "none"}, "no balancer to show"),
        ({"database": None}, "names no database"),
    ],
)
def test_a_site_that_cannot_be_closed_or_backed_up_is_refused(bed: Bed, change: dict[str, object], said: str) -> None:
    bed.document |= change
    if change.get("database", 1) is None:
        del bed.document["database"]

    with pytest.raises(RefusedError, match=said):
        bed.begin()

    assert bed.log() == [] and bed.open_run() == "" and bed.state() == "scheduled"
