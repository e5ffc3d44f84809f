"""Resume and abort by another machine, wherever the controller was killed; over real host jobs and a real store.

The same runs over SSH, PM2 and nginx, at a sample of the points, are in tests/e2e.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.engine import ledger
from dojo_deploy.errors import LostError
from dojo_deploy.events import CensusTaken, Event, GateFailed, StageFinished
from dojo_deploy.interfaces import Store
from dojo_deploy.inventory import Host
from dojo_deploy.transports.local import LocalShell
from tests.engine.killing import Killer
from tests.engine.rig import Fleet
from tests.engine.tiny import NEW as RELEASE
from tests.engine.tiny import Tiny

ONCE = {"hook": 1, "migrated": 1, "count web1": 1, "count web2": 1}
NEW = {"web1": "v2", "web2": "v2"}
OLD = {"web1": "v1", "web2": "v1"}
TOLERATED = {"web1": "v1 drained", "web2": "v2"}


def _records(base: Path, fault: str = "", **strategy: Any) -> list[Event]:
    """What the journal of such a run holds when nobody disturbs it."""
    fleet = Fleet(base)
    if fault:
        fleet.fault("web1", fault)
    fleet.deploy(Tiny(**strategy))
    return fleet.events


def test_killed_after_any_record_a_run_is_resumed_to_the_same_end(quick: Path, kills: Killer) -> None:
    records = _records(quick / "whole")
    assert len(records) > 30
    for after in range(1, len(records) + 1):
        fleet, where = Fleet(quick / f"{after}"), f"killed after {records[after - 1]}"
        assert kills.deploy(fleet, after=after), where
        result = fleet.go_on()
        assert (result.verdict, result.exit_code) == ("done", 0), where
        assert (fleet.on(), fleet.counts()) == (NEW, ONCE), where
        assert fleet.is_clean(), where
        assert (fleet.known().passed != "", fleet.known().bad) == (True, ""), where


def test_killed_after_any_record_a_run_is_aborted_to_where_it_began(quick: Path, kills: Killer) -> None:
    records = _records(quick / "whole")
    for after in range(1, len(records) + 1):
        fleet, where = Fleet(quick / f"{after}"), f"killed after {records[after - 1]}"
        assert kills.deploy(fleet, after=after), where
        result = fleet.go_on(abort=True)
        assert (result.verdict, result.exit_code) == ("aborted", 0), where
        assert fleet.on() == OLD, where
        assert max(fleet.counts().values()) <= 1, where
        assert fleet.is_clean(), where
        assert (fleet.known().passed, fleet.known().bad) == ("", ""), where


def test_killed_while_it_undoes_itself_a_run_goes_on_undoing(quick: Path, kills: Killer) -> None:
    records = _records(quick / "whole", "gate")
    first = next(number for number, event in enumerate(records, 1) if isinstance(event, GateFailed))
    for after in range(first, len(records) + 1):
        fleet, where = Fleet(quick / f"{after}"), f"killed after {records[after - 1]}"
        fleet.fault("web1", "gate")
        assert kills.deploy(fleet, after=after), where
        result = fleet.go_on()
        assert (result.verdict, result.exit_code) == ("rolled back", 20), where
        assert (fleet.on(), fleet.counts()) == (OLD, {**ONCE, "count web2": 0}), where
        assert fleet.is_clean(), where
        assert fleet.known().bad, where


def test_killed_while_a_tolerated_host_is_left_out_it_is_left_out_on_resume(quick: Path, kills: Killer) -> None:
    records = _records(quick / "whole", "gate", max_failures=1)
    failed = next(number for number, event in enumerate(records, 1) if isinstance(event, GateFailed))
    end = next(
        number for number, event in enumerate(records, 1) if number > failed and isinstance(event, StageFinished)
    )
    for after in range(failed, end + 1):
        fleet, where = Fleet(quick / f"{after}"), f"killed after {records[after - 1]}"
        fleet.fault("web1", "gate")
        assert kills.deploy(fleet, after=after, max_failures=1), where
        result = fleet.go_on()
        assert (result.verdict, result.exit_code) == ("tolerated", 30), where
        assert (fleet.on(), fleet.counts()) == (TOLERATED, ONCE), where
        assert fleet.is_clean(), where


@pytest.mark.parametrize("density", [1, pytest.param(4, marks=pytest.mark.soak)])
@pytest.mark.parametrize("abort", [False, True])
def test_killed_a_second_time_it_goes_on_all_the_same(quick: Path, kills: Killer, abort: bool, density: int) -> None:
    for first in range(7, 37, 12 // density):
        for second in range(2, 30, 8 // density):
            fleet, where = Fleet(quick / f"{first}-{second}"), f"killed after {first}, then after {second}"
            assert kills.deploy(fleet, after=first), where
            was_killed = kills.go_on(fleet, after=second, abort=abort)
            result = fleet.go_on(abort=abort)
            verdict = ("aborted" if abort else "done") if was_killed else "nothing to do"
            assert (result.verdict, fleet.on()) == (verdict, OLD if abort else NEW), where
            assert max(fleet.counts().values()) == 1, where
            assert fleet.is_clean(), where
            assert (fleet.known().passed == "", fleet.known().bad) == (abort, ""), where


def test_a_halted_run_is_resumed_once_the_host_is_mended(fleet: Fleet) -> None:
    fault = fleet.fault("web1", "switch")
    halted = fleet.deploy(Tiny(on_failure="halt"))
    assert (halted.verdict, fleet.open_run()) == ("halted", halted.run)
    assert fleet.go_on().verdict == "halted"
    fault.unlink()
    assert fleet.go_on().verdict == "done"
    assert (fleet.on(), fleet.counts()) == (NEW, ONCE)
    assert fleet.is_clean()


def test_the_artifact_that_a_resumed_run_brings_is_there_until_it_ends(fleet: Fleet) -> None:
    fault, file = fleet.fault("web1", "switch"), fleet.base / "app.tgz"
    file.write_bytes(b"artifact")
    halted = fleet.deploy(Tiny(on_failure="halt"), replace(RELEASE, sha256=hashlib.sha256(b"artifact").hexdigest()))
    ledger.write_artifact(fleet.store(), halted.run, file)
    fault.unlink()
    folder, seen = fleet.base / "there" / ".dojo" / "artifacts", []

    def look(event: Event) -> None:
        # The last event by which all that goes on beside the run has ended.
        if isinstance(event, CensusTaken):
            seen.extend(path.read_bytes() for path in folder.iterdir())

    assert fleet.go_on(subscribers=(look,)).verdict == "done"
    assert seen == [b"artifact"]
    assert not list(folder.iterdir())


@pytest.mark.parametrize("arrives", [False, True])
def test_a_run_has_begun_once_its_artifact_is_in_the_store(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    file, write = fleet.base / "app.tgz", ledger.write_artifact
    file.write_bytes(b"artifact")
    release = replace(RELEASE, sha256=hashlib.sha256(b"artifact").hexdigest())

    def die(store: Store, run: str, path: Path) -> None:
        until(lambda: fleet.open_run() == run, within=10.0)
        until(lambda: store.get(f"runs/{run}/header.json") is not None, within=10.0)
        if arrives:
            write(store, run, path)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(ledger, "write_artifact", die)
    controller = multiprocessing.get_context("fork").Process(
        target=lambda: fleet.deploy(Tiny(), release, artifact=file)
    )
    controller.start()
    controller.join(60)
    assert controller.exitcode == -signal.SIGKILL
    run = fleet.open_run()
    assert run and fleet.on() == OLD

    assert fleet.go_on().verdict == ("done" if arrives else "nothing to do")
    assert fleet.on() == (NEW if arrives else OLD)
    assert fleet.is_clean()
    assert bool(fleet.store().list(f"runs/{run}/")) == arrives


def test_a_step_that_may_run_once_stays_failed_whoever_mends_its_host(fleet: Fleet) -> None:
    fault = fleet.fault("web1", "count")
    assert fleet.deploy(Tiny(on_failure="halt")).verdict == "halted"
    fault.unlink()
    assert fleet.go_on().verdict == "halted"
    assert fleet.counts()["count web1"] == 1
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert fleet.on() == OLD


def test_a_step_that_may_run_once_and_never_ended_stops_the_run_without_advice_it_does_not_take(fleet: Fleet) -> None:
    fleet.fault("web1", "count")
    halted = fleet.deploy(Tiny(on_failure="halt"))
    record = fleet.base / "web1" / ".dojo" / "runs" / halted.run / "record"
    *earlier, end = record.read_text().splitlines()
    assert end.startswith("end batch 1/web1/count ")
    record.write_text("\n".join([*earlier, ""]))
    result = fleet.go_on()
    assert "must not run twice: look at the host" in result.reason
    assert "abort" not in result.reason
    assert fleet.counts()["count web1"] == 1


def test_an_abort_that_is_killed_while_it_asks_the_hosts_is_no_run_to_go_on_with(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = fleet.fault("web1", "switch")
    assert fleet.deploy(Tiny(on_failure="halt")).verdict == "halted"
    fault.unlink()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("dojo_deploy.runs.conduct.recall", killed)
        fleet.go_on(abort=True, reason="the wrong day")
    result = fleet.go_on()
    assert (result.verdict, result.exit_code) == ("aborted", 0)
    assert result.reason == "aborted by the operator: the wrong day"
    assert fleet.on() == OLD
    assert fleet.is_clean()
    assert fleet.known().bad == ""


class Away:
    """A host that runs its job still, and answers no question in time."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.waited = 0.0

    def run(self, command: Any, *, within: float, stdin: bytes = b"") -> Any:  # noqa: ARG002
        self.waited = max(self.waited, within)
        raise LostError("no answer", host=self.host.name)

    def stream(self, text: str, **_: Any) -> int:  # noqa: ARG002
        raise LostError("no answer", host=self.host.name)

    def close(self) -> None:
        """Nothing is kept."""


def test_aborting_drains_no_host_that_the_run_never_reached(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.fault("web1", "gate")
    fleet.deploy(Tiny(on_failure="halt"))
    monkeypatch.setattr("dojo_deploy.engine.hostjob.PAUSES", (0.0,))
    monkeypatch.setattr("dojo_deploy.engine.jobs.carry", _impatient)
    away = Away(fleet.site().hosts["web2"])
    fleet.shells["web2"] = away  # type: ignore[assignment]
    result = fleet.go_on(abort=True)
    assert (result.verdict, fleet.on()) == ("mixed", OLD)
    assert "drain web2" not in fleet.log()
    assert away.waited > 90, "a job that outlived its controller was not waited for as long as it may take"
    fleet.shells["web2"] = LocalShell(away.host)
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert fleet.is_clean()


def _impatient(*args: Any, **options: Any) -> Any:
    from dojo_deploy.engine.hostjob import carry

    return carry(*args, **{**options, "reach": 0.0})


def until(is_so: Callable[[], bool], *, within: float) -> bool:
    """Whether it became so."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.01)
    return False
