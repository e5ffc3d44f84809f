"""What the built-in steps do on a host, through real host jobs on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.command import Command
from dojo_deploy.engine.hostjob import Frame, Job, JobStep, Said, StepResult, carry
from dojo_deploy.inventory import Host
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import Layout, Placement
from dojo_deploy.steps import releases
from dojo_deploy.transports.local import LocalShell
from tests.sites import NEW, site


class Rig:
    """One host with a root of its own, in the folder of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(str(root))
        self.place = Placement(Host("web1", ("web",), "127.0.0.1", str(root)), "blue", NEW.id, site(1).app)
        self.said: list[str] = []

    def carry(self, *steps: JobStep, run: str = "r1", close: bool = False) -> tuple[StepResult, ...]:
        job = Job(run, 1, "S", "app-test", self.layout, steps, close)
        return carry(LocalShell(self.place.host), job, on_frame=self._heard, clock=SystemClock(), reach=5)

    def run(self, step: Step) -> StepResult:
        assert isinstance(step.action, OnHost)
        (result,) = self.carry(JobStep(f"stage/web1/{step.name}", step.action.commands, step.deadline))
        return result

    def _heard(self, frame: Frame) -> None:
        if isinstance(frame, Said):
            self.said.append(frame.line)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "root")


def test_a_command_of_many_that_ends_at_its_first_error_ends_its_step(rig: Rig) -> None:
    strict = Command.shell("set -e\nfalse\necho went on")
    (result,) = rig.carry(JobStep("a", (strict, Command.of("true")), 10.0))

    assert result.outcome == "failed"
    assert rig.said == []


def test_a_release_that_cannot_be_removed_is_said_and_fails_nothing(rig: Rig) -> None:
    stuck = "s" * 250  # its name is too long for the rename
    for name in (stuck, "old", "current"):
        (rig.root / "releases" / name / "node_modules").mkdir(parents=True)
    (rig.root / "slots" / "blue").mkdir(parents=True)
    (rig.root / "slots" / "blue" / "current").symlink_to(rig.root / "releases" / "current")
    result = rig.run(releases.prune(rig.place, victims=(stuck, "current", "old")))

    assert result.outcome == "done"
    assert sorted(path.name for path in (rig.root / "releases").iterdir()) == ["current", stuck]
    assert any(stuck in line and line.startswith("kept:") for line in rig.said)
    assert any("too long" in line for line in rig.said)


def test_the_end_of_a_run_removes_what_killed_jobs_left_and_the_records_of_old_runs(rig: Rig) -> None:
    runs = rig.root / ".dojo" / "runs"
    for number in range(25):
        (runs / f"20260101T0000{number:02}-aaaaaa").mkdir(parents=True)
    killed, waiting = runs / "20260101T000024-aaaaaa" / "n1.sh", runs / "20260101T000023-aaaaaa" / "n2.sh"
    for script, moment in ((killed, 1), (waiting, time.time() + 3600)):
        script.write_text("TOKEN=canary")
        os.utime(script, (moment, moment))
    (rig.root / ".dojo").chmod(0o700)
    this = "20260102T000000-bbbbbb"
    rig.carry(JobStep("a", (Command.of("true"),), 10.0), run=this)
    assert (len(list(runs.iterdir())), killed.exists()) == (26, True)
    (result,) = rig.carry(JobStep("b", (Command.of("true"),), 10.0), run=this, close=True)

    assert result.outcome == "done"
    assert sorted(path.name for path in runs.iterdir()) == [
        *(f"20260101T0000{number:02}-aaaaaa" for number in range(6, 25)),
        this,
    ]
    assert (killed.exists(), waiting.exists()) == (False, True)
    assert [path.name for path in (runs / this).iterdir() if path.suffix in (".sh", ".pipe")] == []
