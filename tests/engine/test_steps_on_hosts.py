"""What the built-in steps do on a host, through real host jobs on this machine."""

from __future__ import annotations

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
