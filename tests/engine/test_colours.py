"""Blue-green on the small fleet: what fails, where it is killed, and who serves then; real host jobs, a real store.

The same over SSH, PM2 and nginx, at a sample of the points, is in tests/e2e.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.events import Event, OutputWritten, StageFinished, StageStarted, StepFinished, UndoStarted, UsersServed
from dojo_deploy.release import Release
from dojo_deploy.strategies import Retire, Rollback
from tests.engine.duo import GATE, OLD, Duo
from tests.engine.killing import Killer

BEFORE = {"web1": "blue=v1*", "web2": "blue=v1*"}
AFTER = {"web1": "blue=v1 green=v2*", "web2": "blue=v1 green=v2*"}
BACK = {"web1": "blue=v1* green=v2", "web2": "blue=v1* green=v2"}
ALONE = {"web1": "green=v2*", "web2": "green=v2*"}
# Every point is a second; the ordinary run takes each of these, `soak` all.
STRIDE = [pytest.param(11), pytest.param(1, marks=pytest.mark.soak)]


@pytest.fixture
def duo(quick: Path) -> Duo:
    return Duo(quick / "duo")


def is_over(fleet: Duo) -> bool:
    return fleet.is_clean() and not fleet.doubled()


def test_there_and_back_and_there_again_and_retired(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    assert (duo.sent(), duo.served(), duo.stands()) == ("green", {"v2"}, AFTER)
    live, standby = duo.standby()
    assert (live, standby and (standby.slot, standby.release)) == ("green", ("blue", "v1"))

    assert duo.begin(Rollback).verdict == "done"
    assert (duo.sent(), duo.served(), duo.stands()) == ("blue", {"v1"}, BACK)
    assert duo.known().bad and duo.standby()[0] == "blue"

    assert duo.begin().verdict == "done"
    assert (duo.sent(), duo.served(), duo.stands(), duo.known().bad) == ("green", {"v2"}, AFTER, "")

    assert duo.begin(Retire).verdict == "done"
    assert (duo.sent(), duo.served(), duo.stands(), duo.standby()) == ("green", {"v2"}, ALONE, ("green", None))
    assert is_over(duo)


def in_root(name: str) -> Callable[[Duo], Path]:
    return lambda duo: duo.base / "web2" / name


def at_the_balancer(name: str) -> Callable[[Duo], Path]:
    return lambda duo: duo.doors / name


@pytest.mark.parametrize(
    ("fault", "step", "switched"),
    [
        pytest.param(in_root("sick"), "start/web2/start", False, id="gate"),
        pytest.param(at_the_balancer("fault-switch-green"), "switch/controller/switch", False, id="switch"),
        pytest.param(at_the_balancer("liar"), "switch/controller/identity", True, id="identity"),
        pytest.param(in_root("ill"), "begin workers/web2/begin workers", True, id="after the switch"),
    ],
)
def test_what_fails_ends_with_the_old_colour_serving_and_the_new_one_gone(
    duo: Duo, fault: Callable[[Duo], Path], step: str, switched: bool
) -> None:
    fault(duo).touch()

    result = duo.begin()

    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert step in result.reason
    assert (duo.sent(), duo.served(), duo.stands()) == ("blue", {"v1"}, BEFORE)
    assert duo.standby() == ("blue", None) and duo.known().bad
    assert is_over(duo)
    undone = [event.name for event in after_failure(duo.events) if isinstance(event, StepFinished)]
    assert undone[0] == "switch back" if switched else "switch back" not in undone[1:]
    if switched:
        told = at_the_balancer("log")(duo).read_text().splitlines()
        assert told[-2:] == ["switch blue", "settle, green on 2"], "older connections end before what answers them"


def after_failure(events: list[Event]) -> list[Event]:
    first = next(number for number, event in enumerate(events) if isinstance(event, UndoStarted))
    return events[first:]


def test_traffic_that_cannot_be_sent_back_keeps_the_colour_that_it_goes_to(duo: Duo) -> None:
    in_root("ill")(duo).touch()
    at_the_balancer("fault-switch-blue")(duo).touch()

    result = duo.begin()

    assert (result.verdict, result.exit_code) == ("mixed", 30)
    assert (duo.sent(), duo.served()) == ("green", {"v2"}), "nothing that serves was stopped"

    at_the_balancer("fault-switch-blue")(duo).unlink()
    assert duo.go_on(abort=True).verdict == "aborted"
    assert (duo.sent(), duo.served(), duo.stands()) == ("blue", {"v1"}, BEFORE)


def test_a_failed_deployment_during_standby_brings_the_standby_back(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    kept = duo.standby()
    for name in duo.names:
        third = duo.base / name / "releases" / "v0" / ".dojo"
        (third / "complete").write_text("ab\n")
    at_the_balancer("fault-switch-blue")(duo).touch()

    result = duo.bring(Release("v0", sha256="ab"))

    assert result.verdict == "rolled back"
    assert (duo.sent(), duo.stands(), duo.standby()) == ("green", AFTER, kept)
    at_the_balancer("fault-switch-blue")(duo).unlink()
    assert duo.begin(Rollback).verdict == "done"
    assert (duo.sent(), duo.stands()) == ("blue", BACK)


def test_what_stands_by_is_left_by_its_users_before_another_release_starts_there(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    for name in duo.names:
        third = duo.base / name / "releases" / "v0" / ".dojo"
        (third / "complete").write_text("ab\n")
    first = len(duo.events)

    result = duo.bring(Release("v0", sha256="ab"))

    assert result.verdict == "done" and result.plan
    assert "and what is still connected to it" in "\n".join(result.plan.notes)
    stages = [event.stage for event in duo.events[first:] if isinstance(event, StageStarted)]
    assert stages.index("leave standby") == stages.index("start") - 1


def test_one_connection_that_never_ends_keeps_no_standby_for_ever(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    kept = duo.standby()
    at_the_balancer("mute")(duo).touch()
    assert duo.begin(Retire).verdict == "rolled back", "nobody can be asked who is still connected"
    assert (duo.stands(), duo.standby()) == (AFTER, kept)
    at_the_balancer("mute")(duo).unlink()
    at_the_balancer("endless")(duo).touch()

    assert duo.begin(Retire).verdict == "done"

    assert (duo.sent(), duo.stands(), duo.standby()) == ("green", ALONE, ("green", None))
    told = [event.line for event in duo.events if isinstance(event, OutputWritten)]
    assert "endless connections; they end with it" in told


def test_workers_that_do_not_come_back_take_users_from_nobody(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    (duo.base / "web2" / "lame-blue").touch()
    first = len(duo.events)

    result = duo.begin(Rollback)

    assert (result.verdict, result.exit_code) == ("halted", 30) and "begin workers/web2" in result.reason
    assert (duo.sent(), duo.served()) == ("blue", {"v1"}), "what was asked for is not taken back"
    told = [event for event in duo.events[first:] if isinstance(event, (UsersServed, StageStarted, UndoStarted))]
    names = [event.stage if isinstance(event, StageStarted) else type(event).__name__ for event in told]
    assert names == ["look", "switch", "UsersServed", "end workers", "begin workers"]

    (duo.base / "web2" / "lame-blue").unlink()
    assert duo.go_on().verdict == "done"
    assert (duo.sent(), duo.stands()) == ("blue", BACK)
    assert is_over(duo)


def test_a_signal_within_the_switch_is_not_told_as_if_the_rest_went_on_by_itself(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    first = len(duo.events)

    def strike(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == "switch":
            os.kill(os.getpid(), signal.SIGTERM)

    result = duo.deploy(Rollback(gate=GATE), OLD, subscribers=(strike,))

    assert (result.verdict, result.exit_code) == ("interrupted", 130)
    assert not [event for event in duo.events[first:] if isinstance(event, UsersServed)]
    assert (duo.sent(), duo.served()) == ("blue", {"v1"})
    assert duo.go_on().verdict == "done"
    assert (duo.sent(), duo.stands()) == ("blue", BACK)
    assert is_over(duo)


def test_a_switch_back_without_its_workers_can_be_aborted(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    (duo.base / "web2" / "lame-blue").touch()
    assert duo.begin(Rollback).verdict == "halted"

    assert duo.go_on(abort=True).verdict == "aborted"

    assert (duo.sent(), duo.served(), duo.stands()) == ("green", {"v2"}, AFTER)
    assert is_over(duo)


def test_a_retirement_is_refused_while_a_host_is_out_and_the_obligation_stands(duo: Duo) -> None:
    assert duo.begin().verdict == "done"
    kept = duo.standby()
    (duo.base / "web2" / "sick").touch()

    with pytest.raises(RefusedError, match="web2"):
        duo.begin(Retire)

    assert (duo.sent(), duo.stands(), duo.standby()) == ("green", AFTER, kept)


@pytest.mark.parametrize("stride", STRIDE)
@pytest.mark.parametrize("abort", [False, True])
def test_killed_after_any_record_traffic_is_on_one_colour_and_the_run_can_be_ended(
    quick: Path, kills: Killer, stride: int, abort: bool
) -> None:
    whole = Duo(quick / "whole")
    whole.begin()
    assert len(whole.events) > 60
    for after in range(1, len(whole.events) + 1, stride):
        fleet, where = Duo(quick / f"{after}"), f"killed after {whole.events[after - 1]}"
        assert kills.deploy(fleet, after=after), where
        assert (fleet.sent(), fleet.served()) in (("blue", {"v1"}), ("green", {"v2"})), where
        result = fleet.go_on(abort=abort)
        assert (result.verdict, result.exit_code) == ("aborted" if abort else "done", 0), where
        ends = ("blue", {"v1"}, BEFORE) if abort else ("green", {"v2"}, AFTER)
        assert (fleet.sent(), fleet.served(), fleet.stands()) == ends, where
        assert fleet.standby()[0] == ends[0] and (fleet.standby()[1] is None) == abort, where
        assert is_over(fleet) and max(fleet.counts().values()) <= 1, where


@pytest.mark.parametrize("stride", STRIDE)
@pytest.mark.parametrize("abort", [False, True])
def test_a_switch_back_that_was_killed_ends_on_one_colour(quick: Path, kills: Killer, stride: int, abort: bool) -> None:
    verdict, ends = ("aborted", ("green", AFTER)) if abort else ("done", ("blue", BACK))
    each_killed(quick, kills, Rollback, stride, abort=abort, verdict=verdict, ends=ends)


@pytest.mark.parametrize("stride", STRIDE)
def test_killed_while_traffic_and_workers_go_back_it_goes_on_undoing(quick: Path, kills: Killer, stride: int) -> None:
    whole = Duo(quick / "whole")
    in_root("ill")(whole).touch()
    whole.begin()
    first = len(whole.events) - len(after_failure(whole.events))
    for after in range(first, len(whole.events) + 1, stride):
        fleet, where = Duo(quick / f"{after}"), f"killed after {whole.events[after - 1]}"
        in_root("ill")(fleet).touch()
        assert kills.deploy(fleet, after=after), where
        assert (fleet.sent(), fleet.served()) in (("blue", {"v1"}), ("green", {"v2"})), where
        result = fleet.go_on()
        assert (result.verdict, result.exit_code) == ("rolled back", 20), where
        assert (fleet.sent(), fleet.served(), fleet.stands()) == ("blue", {"v1"}, BEFORE), where
        assert is_over(fleet) and fleet.standby() == ("blue", None) and fleet.known().bad, where


@pytest.mark.parametrize("stride", STRIDE)
def test_a_retirement_that_was_killed_still_happens(quick: Path, kills: Killer, stride: int) -> None:
    each_killed(quick, kills, Retire, stride, abort=False, verdict="done", ends=("green", ALONE))


@pytest.mark.parametrize("stride", STRIDE)
def test_a_retirement_that_was_aborted_leaves_the_obligation(quick: Path, kills: Killer, stride: int) -> None:
    for fleet, where in killed(quick, kills, Retire, stride):
        assert fleet.go_on(abort=True).verdict == "aborted", where
        assert fleet.sent() == "green" and fleet.standby()[1], where
        assert fleet.begin(Retire).verdict == "done", where
        assert (fleet.sent(), fleet.stands(), fleet.standby()[1]) == ("green", ALONE, None), where


def each_killed(
    base: Path, kills: Killer, strategy: type, stride: int, *, abort: bool, verdict: str, ends: tuple[str, Any]
) -> None:
    for fleet, where in killed(base, kills, strategy, stride):
        assert (fleet.sent(), fleet.served()) in (("blue", {"v1"}), ("green", {"v2"})), where
        assert fleet.go_on(abort=abort).verdict == verdict, where
        assert (fleet.sent(), fleet.stands()) == ends and is_over(fleet), where
        assert fleet.standby()[0] == ends[0], where


def killed(base: Path, kills: Killer, strategy: type, stride: int) -> Any:
    """Fleets after a deployment, on which a run by `strategy` was killed after each `stride`th record."""
    whole = Duo(base / "whole")
    whole.begin()
    first = len(whole.events)
    whole.begin(strategy)
    records = whole.events[first:]
    assert len(records) > 10
    for after in range(1, len(records) + 1, stride):
        fleet, where = Duo(base / f"{after}"), f"killed after {records[after - 1]}"
        fleet.begin()
        assert kills.deploy(fleet, after=after, kind=f"{strategy.__module__}:{strategy.__name__}"), where
        yield fleet, where


def bare(base: Path) -> Duo:
    """Nothing was ever deployed; the release lies on the hosts."""
    fleet = Duo(base)
    for name in fleet.names:
        for file in ("web-blue", "worker-blue", "slots/blue/current"):
            (fleet.base / name / file).unlink()
    (fleet.doors / "sent").write_text("")
    return fleet


@pytest.mark.parametrize("stride", STRIDE)
def test_the_first_deployment_of_all_that_was_killed_ends_in_blue_or_in_nothing(
    quick: Path, kills: Killer, stride: int
) -> None:
    whole = bare(quick / "whole")
    assert whole.begin().verdict == "done"
    assert (whole.sent(), whole.served(), whole.standby()) == ("blue", {"v2"}, ("blue", None))
    for after in range(1, len(whole.events) + 1, stride):
        abort = bool(after // stride % 2)
        fleet, where = bare(quick / f"{after}"), f"killed after {whole.events[after - 1]}, abort {abort}"
        assert kills.deploy(fleet, after=after), where
        assert fleet.go_on(abort=abort).verdict == ("aborted" if abort else "done"), where
        ends = {} if abort else {"web1": "blue=v2*", "web2": "blue=v2*"}
        assert {name: text for name, text in fleet.stands().items() if text} == ends, where
        assert (fleet.doors / "sent").read_text().split() == (
            [] if abort else (whole.doors / "sent").read_text().split()
        )
        assert is_over(fleet), where
