"""Ctrl-C and SIGTERM: the first stops at the next step's edge, the second at once; nothing is left behind unknown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.crash import Ground
from tests.e2e.fleet import Fleet
from tests.sshd import until

OTHER = {"v1": "v2", "v2": "v1"}


@pytest.fixture
def ground(fleet: Fleet, tmp_path: Path) -> Ground:
    return Ground(fleet.inventory, tmp_path)


@pytest.mark.parametrize(
    ("number", "verb"),
    [(signal.SIGINT, "resume"), pytest.param(signal.SIGTERM, "abort", marks=pytest.mark.soak)],
)
def test_the_first_signal_stops_at_the_steps_edge_and_the_run_can_be_ended_either_way(
    ground: Ground, number: int, verb: str
) -> None:
    before = ground.settle("v1", "v2")
    ground.count_anew()

    stopped = ground.deploy(OTHER[before], after="StepStarted batch/switch", send=number)

    assert (stopped.status, stopped.verdict) == (130, "interrupted"), stopped.message
    assert "StepFinished batch/switch" in stopped.kinds() and "StepStarted batch/restore" not in stopped.kinds()
    ended = ground.go_on(verb)
    assert (ended.status, ended.verdict) == (0, "done" if verb == "resume" else "aborted"), ended.message
    assert max(ground.counted().values()) == 1
    assert ground.troubles(ground.release(OTHER[before] if verb == "resume" else before)) == []


def test_the_second_signal_stops_at_once_and_the_run_is_resumed(ground: Ground) -> None:
    before = ground.settle("v1", "v2")
    session = ground.start("deploy", ref=OTHER[before], after="StepStarted batch/switch", send=signal.SIGTERM)
    session.until(lambda kinds: "Warned" in kinds)
    session.send(signal.SIGTERM)

    stopped = session.ended(within=10)

    assert stopped.status == 130 and "StepFinished batch/switch" not in stopped.kinds()
    ended = ground.go_on("resume")
    assert (ended.status, ended.verdict) == (0, "done"), ended.message
    assert ground.troubles(ground.release(OTHER[before])) == []


@pytest.mark.soak
def test_a_strategy_may_roll_back_when_it_is_interrupted(ground: Ground) -> None:
    before = ground.settle("v1", "v2")
    bad = {known.id: known.bad for known in ground.record().releases if known.bad}

    ended = ground.deploy(
        OTHER[before], after="StepStarted batch/switch", send=signal.SIGINT, overrides={"on_interrupt": "rollback"}
    )

    assert (ended.status, ended.verdict) == (20, "rolled back"), ended.message
    assert ground.open_run() == ""
    assert {known.id: known.bad for known in ground.record().releases if known.bad} == bad
    assert ground.troubles(ground.release(before)) == []


@pytest.mark.soak
def test_a_signal_while_a_failed_run_is_undone_leaves_the_rest_to_resume(ground: Ground) -> None:
    before = ground.settle("v1", "v2")

    stopped = ground.deploy(
        "v3",
        after="StepStarted batch/switch~undo",
        send=signal.SIGTERM,
        overrides={"prove": "off", "gate.grace": "1s"},
    )

    assert (stopped.status, stopped.verdict) == (130, "interrupted"), stopped.message
    ended = ground.go_on("resume")
    assert (ended.status, ended.verdict) == (20, "rolled back"), ended.message
    assert ground.troubles(ground.release(before)) == []


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGTERM])
def test_a_signal_during_the_build_leaves_nothing_behind(ground: Ground, number: int) -> None:
    before = ground.settle("v1", "v2")
    inventory = ground.elsewhere()
    folder = inventory.parent.parent
    with _command(inventory, "--ref", "v4") as process:
        said = _until(process, "npm test")
        process.send_signal(number)
        rest, complaint = process.communicate(timeout=20)

    assert process.returncode == 130, said + rest + complaint
    assert "Traceback" not in rest + complaint
    assert list((folder / ".dojo").rglob("build-*")) == []
    until(lambda: not _processes_in(folder), 5, "the build's processes are gone: they were killed, and may die slowly")
    assert ground.open_run() == "" and ground.troubles(ground.release(before)) == []


@pytest.mark.soak
def test_a_signal_while_the_lock_is_waited_for_changes_nothing(ground: Ground) -> None:
    before = ground.settle("v1", "v2")
    # Frozen, the holder gives no sign of life, so the other one has to wait.
    holder = ground.start("deploy", ref=OTHER[before], after="PlanMade", send=signal.SIGSTOP)
    holder.until(lambda kinds: "PlanMade" in kinds)
    with _command(ground.here, "--ref", OTHER[before]) as process:
        said = _until(process, "is built already")
        time.sleep(1.5)
        assert process.poll() is None, said
        process.send_signal(signal.SIGINT)
        rest, complaint = process.communicate(timeout=20)
    holder.send(signal.SIGKILL)
    holder.send(signal.SIGCONT)
    holder.ended()

    assert process.returncode == 130, said + rest + complaint
    assert "Traceback" not in rest + complaint
    aborted = ground.go_on("abort")
    assert (aborted.status, aborted.verdict) == (0, "aborted"), aborted.message
    assert ground.troubles(ground.release(before)) == []


def _command(inventory: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("dojo")), "deploy", "-i", str(inventory), "--verbose", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}: {said}")


def _processes_in(folder: Path) -> list[str]:
    """Processes that work below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(entry.readlink()).startswith(str(folder)):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
