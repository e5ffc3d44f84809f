from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.inventory import Processes
from dojo_deploy.plan import Target
from dojo_deploy.probes.release import ReleaseProbe

from .conftest import Machine


class Sleepers:
    """Real processes, listed by pid for the `running` line."""

    def __init__(self, pids: Path) -> None:
        self.pids = pids
        self.made: list[subprocess.Popen[bytes]] = []

    def run(self, folder: Path) -> None:
        self.made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=folder))
        self.pids.write_text("".join(f"{one.pid}\n" for one in self.made))

    def stop(self) -> None:
        for one in self.made:
            one.kill()
            one.wait(5)


@pytest.fixture
def sleepers(machine: Machine) -> Iterator[Sleepers]:
    (machine.root / "slots" / "blue" / "pids").touch()
    # `$CURRENT/..` follows the link, so the lines name the slot's folder itself.
    line = f'cat {machine.root}/slots/"$COLOUR"/pids'
    processes = machine.processes(instances=2, running=line)
    machine.inventory = replace(machine.inventory, app=replace(machine.app, processes=processes))
    made = Sleepers(machine.root / "slots" / "blue" / "pids")
    yield made
    made.stop()


def test_all_instances_on_the_release_pass(machine: Machine, target: Target, sleepers: Sleepers) -> None:
    for _ in range(2):
        sleepers.run(machine.root / "releases" / "r2")
    reading = ReleaseProbe().check(machine, target, within=5)
    assert reading.ok and reading.proof == "process" and reading.detail == "blue/web: 2 × r2"


def test_a_process_started_through_the_link_is_known_by_where_it_really_is(
    machine: Machine, target: Target, sleepers: Sleepers
) -> None:
    for _ in range(2):
        sleepers.run(machine.root / "slots" / "blue" / "current")
    current = machine.root / "slots" / "blue" / "current"
    current.unlink()
    current.symlink_to(machine.root / "releases" / "r1")
    assert ReleaseProbe().check(machine, target, within=5).ok
    assert not ReleaseProbe().check(machine, replace(target, release="r1"), within=5).ok


def test_one_instance_on_the_old_release_fails(machine: Machine, target: Target, sleepers: Sleepers) -> None:
    sleepers.run(machine.root / "releases" / "r2")
    sleepers.run(machine.root / "releases" / "r1")
    reading = ReleaseProbe().check(machine, target, within=5)
    assert not reading.ok and reading.detail == "blue/web: 1 × r1, 1 × r2, want 2 × r2"


def test_a_missing_instance_fails(machine: Machine, target: Target, sleepers: Sleepers) -> None:
    assert "blue/web: none, want 2 × r2" in ReleaseProbe().check(machine, target, within=5).detail
    sleepers.run(machine.root / "releases" / "r2")
    assert not ReleaseProbe().check(machine, target, within=5).ok


def test_a_process_whose_folder_was_deleted_does_not_pass(machine: Machine, target: Target, sleepers: Sleepers) -> None:
    for _ in range(2):
        sleepers.run(machine.root / "releases" / "r2")
    (machine.root / "releases" / "r2" / ".dojo").rmdir()
    (machine.root / "releases" / "r2").rmdir()
    (machine.root / "releases" / "r2").mkdir()
    reading = ReleaseProbe().check(machine, target, within=5)
    assert not reading.ok and "r2 (deleted)" in reading.detail


@pytest.mark.parametrize("lines", [{}, {"web": {"start": "touch x", "running": ""}}])
def test_without_processes_that_can_be_asked_the_link_decides(
    machine: Machine, target: Target, lines: dict[str, dict[str, str]]
) -> None:
    processes = machine.processes(**lines["web"]) if lines else Processes()
    machine.inventory = replace(machine.inventory, app=replace(machine.app, processes=processes))
    assert ReleaseProbe().check(machine, target, within=5).ok
    reading = ReleaseProbe().check(machine, replace(target, release="r1"), within=5)
    assert not reading.ok and reading.proof == "link" and "leads to r2, want r1" in reading.detail
    assert not ReleaseProbe().check(machine, replace(target, slot="proof"), within=5).ok
