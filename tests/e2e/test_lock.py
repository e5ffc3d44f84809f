"""One run at a time, on every kind of store: who comes second, who goes on for the dead, and who wakes up too late."""

from __future__ import annotations

import re
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.sandbox.inventory import bring_up
from tests.e2e.crash import Ground
from tests.e2e.fleet import Fleet
from tests.e2e.sessions import Ended, Session

OTHER = {"v1": "v2", "v2": "v1"}
STORES = ("s3", "host", "directory")


@pytest.fixture
def ground(fleet: Fleet, tmp_path: Path) -> Ground:
    return Ground(fleet.inventory, tmp_path)


@pytest.fixture(params=STORES)
def bare(fleet: Fleet, tmp_path: Path, request: pytest.FixtureRequest) -> Ground:
    """An app of its own per kind of store: a host belongs to the store that first deployed to it."""
    bring_up(fleet.inventory, {"hosts": 3, "app": f"at{request.param}"})
    ground = Ground(fleet.inventory, tmp_path, store=request.param, app=f"at{request.param}")
    ground.go_on("abort")
    return ground


def race(ground: Ground, rounds: int) -> None:
    """Two at once, time after time; the winner is killed and undone, so that each round begins on a bare fleet."""
    for _ in range(rounds):
        sessions = [ground.start("deploy", ref="v1", overrides={"hooks": "[]"}) for _ in range(2)]
        loser = _first_to_end(sessions)
        winner = next(one for one in sessions if one is not loser)
        refused = loser.ended()
        assert (refused.status, refused.verdict) == (11, "LockedError"), refused.message
        assert f"pid {winner.pid}" in refused.message and re.search(r"\(\d+ s\)", refused.message), refused.message
        winner.until(lambda kinds: "StageStarted prepare" in kinds)
        winner.send(signal.SIGKILL)
        winner.ended()
        third = ground.deploy("v1")
        assert (third.status, third.verdict) == (10, "OpenRunError")
        assert "invoke resume" in third.message and "invoke abort" in third.message
        undone = ground.go_on("abort")
        assert (undone.status, undone.verdict) == (0, "aborted"), undone.message
        census = app.status(ground.elsewhere())
        assert census.verdict == "empty" and {row["current"] for row in census.rows.values()} == {"–"}


def test_of_two_at_once_one_proceeds_and_the_other_is_told_by_whom(bare: Ground) -> None:
    race(bare, 2)


@pytest.mark.soak
def test_of_two_at_once_one_proceeds_in_twenty_rounds(bare: Ground) -> None:
    race(bare, 20)


@pytest.mark.parametrize("verb", [pytest.param("resume", marks=pytest.mark.soak), "abort"])
def test_a_holder_known_to_be_dead_is_taken_over_at_once(ground: Ground, verb: str) -> None:
    before = ground.settle("v1", "v2")
    assert ground.deploy(OTHER[before], after="StageFinished prepare").was_killed

    ended = ground.go_on(verb)

    assert ended.status == 0, ended.message
    # The lease would have lasted for five seconds and a half.
    assert _seconds_to_the_lock(ended) < 5.0
    assert ground.troubles(ground.release(OTHER[before] if verb == "resume" else before)) == []


@pytest.mark.parametrize(
    ("verb", "after"),
    [
        ("abort", "StepStarted batch/switch"),
        *(
            pytest.param(verb, after, marks=pytest.mark.soak)
            for verb, after in (
                ("resume", "StepStarted batch/switch"),
                ("abort", "StepStarted batch/drain"),
                ("resume", "StepStarted batch/drain"),
                ("abort", "GateRead batch/switch"),
                ("resume", "StepFinished migrate/migrate"),
                ("abort", "PlanMade"),
            )
        ),
    ],
)
def test_one_that_wakes_up_after_a_takeover_changes_nothing(ground: Ground, verb: str, after: str) -> None:
    before = ground.settle("v1", "v2")
    ground.count_anew()
    frozen = ground.start("deploy", ref=OTHER[before], after=after, send=signal.SIGSTOP)
    frozen.until(lambda kinds: after in kinds)
    run = ground.open_run()
    ended = ground.go_on(verb)
    assert ended.status == 0, ended.message
    there = ground.release(OTHER[before] if verb == "resume" else before)
    records = {host: ground.begun(host, run) for host in ground.hosts}

    frozen.send(signal.SIGCONT)
    woken = frozen.ended()

    assert woken.status == 12, f"{woken.status} {woken.verdict} {woken.message}"
    assert {host: ground.begun(host, run) for host in ground.hosts} == records
    assert max(ground.counted().values()) <= 1
    assert ground.troubles(there) == []


def _first_to_end(sessions: list[Session]) -> Session:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done = [one for one in sessions if one.has_ended]
        if done:
            return done[0]
        time.sleep(0.05)
    raise AssertionError("neither of the two was turned away")


def _seconds_to_the_lock(ended: Ended) -> float:
    """How long it took until the first event, which is told under the lock."""
    first, last = (datetime.fromisoformat(ended.events[at]["at"].replace("Z", "+00:00")) for at in (0, -1))
    return ended.seconds - (last - first).total_seconds()
