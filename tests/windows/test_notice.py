"""A window begins once users have known of it for a day; what is decided otherwise is recorded with its reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.app import windows
from dojo_deploy.clock import utc
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.windows import diary
from dojo_deploy.windows.notice import moment, refusals
from dojo_deploy.windows.overrun import warning
from dojo_deploy.windows.window import OPENED, Window, seconds
from tests.notifiers.page import TOKEN, Page, status_page
from tests.windows.bed import Bed

DAY = 86400.0
WINDOW = Window("m-1", "2026-12-01T02:00:00.000Z", "2026-12-01T04:00:00.000Z", "Upgrade")
BEGINS = seconds(WINDOW.begins)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with status_page() as page:
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "page-url").write_text(page.url)
        yield page


@pytest.fixture
def bed(page: Page, tmp_path: Path) -> Bed:  # noqa: ARG001  the page has to be there before the fleet is read
    return Bed(tmp_path)


def ahead(hours: float) -> str:
    return utc(time.time() + hours * 3600)[:19]


@pytest.mark.parametrize(
    ("now", "announced", "said"),
    [
        (BEGINS + 60, BEGINS - DAY, ""),
        (BEGINS - 30, BEGINS - 2 * DAY, ""),
        (BEGINS - 3600, BEGINS - 2 * DAY, "begins at 2026-12-01T02:00, in 1.0 hours"),
        (BEGINS + 7200, BEGINS - 2 * DAY, "ended at 2026-12-01T04:00"),
        (BEGINS, BEGINS - 3600, "known of it for 1.0 hours, and are to have 24"),
        (BEGINS, None, "never told"),
    ],
)
def test_what_keeps_a_window_from_beginning(now: float, announced: float | None, said: str) -> None:
    found = "; ".join(refusals(WINDOW, utc(announced) if announced else "", DAY, now))
    assert said in found and bool(said) == bool(found)


def test_a_window_is_told_and_remembered(bed: Bed, page: Page) -> None:
    view = windows.schedule(bed.site(), at=ahead(25), lasts=5400, title="Upgrade", text="We upgrade")

    assert view.window and view.announced and view.waiting == ()
    assert page.course == ["scheduled"] and page.one["title"] == "Upgrade"
    assert page.one["message"].startswith("We upgrade: ") and page.one["scheduled_for"] == view.window.begins
    assert round(view.window.ends_at - view.window.starts_at) == 5400
    with pytest.raises(RefusedError, match="is scheduled"):
        windows.schedule(bed.site(), at=ahead(48))


def test_too_short_a_notice_needs_a_reason_which_is_kept(bed: Bed) -> None:
    with pytest.raises(RefusedError, match=r"in 3\.0 hours, and users are to have 24 hours' notice"):
        windows.schedule(bed.site(), at=ahead(3))
    assert windows.status(bed.site()).window is None

    view = windows.schedule(bed.site(), at=ahead(3), reason="the disk is dying")

    assert view.window and view.window.course[0].reason == "the disk is dying"


def test_nothing_begins_before_its_notice_has_run(bed: Bed, page: Page) -> None:
    with pytest.raises(RefusedError, match=r"(?s)no window is scheduled.*maintenance\.schedule"):
        windows.start(bed.site())
    windows.schedule(bed.site(), at=ahead(25))
    with pytest.raises(RefusedError, match=r"it begins at .*; users have known of it for 0\.0 hours"):
        windows.start(bed.site())

    assert not bed.is_closed() and bed.log() == [] and page.course == ["scheduled"]


def test_a_window_counts_from_when_the_page_had_it(bed: Bed, page: Page) -> None:
    page.down()
    view = windows.schedule(bed.site(), at=ahead(25))
    assert view.announced == "" and "gives no answer" in view.waiting[0].trouble

    with pytest.raises(RefusedError, match="the status page was never told of it"):
        windows.start(bed.site())
    page.up()
    assert windows.status(bed.site()).announced
    with pytest.raises(RefusedError, match="users have known of it for"):
        windows.start(bed.site())


def test_a_reason_that_was_given_in_good_time_is_no_leave_to_begin_untold(bed: Bed, page: Page) -> None:
    page.down()
    for hours, reason, refused in ((25, "the yearly upgrade", True), (3, "the disk is dying", False)):
        windows.schedule(bed.site(), at=ahead(hours), reason=reason)
        with pytest.raises(RefusedError, match="it begins at") as caught:
            windows.start(bed.site())
        assert ("never told" in caught.value.message) is refused
        windows.abort(bed.site())


def test_a_window_is_extended_and_cancelled_in_public(bed: Bed, page: Page) -> None:
    view = windows.schedule(bed.site(), at=ahead(25), lasts=3600)
    assert view.window

    longer = windows.extend(bed.site(), by=1800, reason="more to copy")
    assert longer.window and round(longer.window.ends_at - view.window.ends_at) == 1800
    assert longer.window.course[-1].reason == "more to copy"

    result = windows.abort(bed.site(), reason="not needed")
    assert (result.verdict, result.exit_code) == ("nothing to do", 0) and "is cancelled" in result.reason
    assert page.course == ["scheduled", "scheduled", "completed"]
    after = windows.status(bed.site())
    assert after.window is None and [each.outcome for each in after.before] == ["cancelled"]
    assert windows.abort(bed.site()).reason == "no maintenance window is scheduled or open"


def test_an_extension_of_what_is_over_counts_from_now(bed: Bed) -> None:
    bed.scheduled(ahead=-7200, lasts=3600)

    view = windows.extend(bed.site(), by=600)

    with pytest.raises(ConfigError, match="--by 30m"):
        windows.extend(bed.site(), by=0)
    assert view.window and 590 < view.window.ends_at - time.time() < 610


@pytest.mark.parametrize("verb", ["extend", "finish"])
def test_there_is_nothing_to_extend_or_finish(bed: Bed, verb: str) -> None:
    with pytest.raises(RefusedError, match="no maintenance window is scheduled or open"):
        windows.extend(bed.site(), by=60) if verb == "extend" else windows.finish(bed.site())
    bed.scheduled()
    if verb == "finish":
        with pytest.raises(RefusedError, match="has not begun"):
            windows.finish(bed.site())


@pytest.mark.parametrize("text", ["2026-12-01T02:00", "2026-12-01T02:00Z", "2026-12-01 03:00+01:00"])
def test_a_time_is_utc_unless_it_says_otherwise(text: str) -> None:
    assert moment(text, 0.0) == BEGINS


@pytest.mark.parametrize("text", ["tomorrow", "", "02:00", "2026-13-01T00:00"])
def test_what_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)--at: .*is no time.*--at 2026-12-02T03:00"):
        moment(text, BEGINS)


def test_each_end_is_warned_of_once_and_an_extension_counts_anew() -> None:
    closed = replace(WINDOW, state="closed")
    told: set[tuple[str, str]] = set()
    assert warning(closed, BEGINS + 5700, told) == ""
    assert warning(closed, BEGINS + 5760, told).startswith("80% of the window (2026-12-01 02:00 to 04:00 UTC) are over")
    assert warning(closed, BEGINS + 5770, told) == ""
    assert "has ended" in warning(closed, BEGINS + 7200, told)
    assert warning(closed, BEGINS + 7300, told) == ""
    longer = replace(closed, ends=utc(BEGINS + 10_000))
    assert warning(longer, BEGINS + 7300, told) == ""
    assert warning(longer, BEGINS + 8001, told).startswith("80%")
    assert warning(replace(longer, state=OPENED), BEGINS + 20_000, told) == ""


def test_one_window_at_a_time_whoever_schedules_it(bed: Bed) -> None:
    bed.scheduled()
    with pytest.raises(RefusedError, match="is scheduled"):
        diary.add(bed.store(), WINDOW)
    diary.change(bed.store(), bed_window(bed).id, lambda found: replace(found, state="over"))
    assert diary.add(bed.store(), WINDOW) == diary.current(bed.store())


def bed_window(bed: Bed) -> Window:
    found = diary.current(bed.store())
    assert found
    return found
