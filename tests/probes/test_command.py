from __future__ import annotations

from dataclasses import replace

from dojo_deploy.plan import Target
from dojo_deploy.probes.command import CommandProbe

from .conftest import Machine


def test_exit_0_passes_and_the_last_line_is_shown(machine: Machine, target: Target) -> None:
    reading = CommandProbe(run="echo one; echo two").check(machine, target, within=2)
    assert reading.ok and reading.detail == "exit status 0: two"


def test_any_other_exit_fails_with_what_it_complained_of(machine: Machine, target: Target) -> None:
    reading = CommandProbe(run="echo no database >&2; exit 3").check(machine, target, within=2)
    assert not reading.ok and reading.detail == "exit status 3: no database"


def test_it_runs_in_the_release_with_its_environment_and_the_runs_own_variables_win(
    machine: Machine, target: Target
) -> None:
    (machine.root / "releases" / "r2" / ".dojo" / "env.sh").write_text("DB='it''s \"here\"'\nPORT=1\nRELEASE=r0\n")
    line = 'echo "$PWD $DB $PORT $RELEASE $COLOUR"'
    reading = CommandProbe(run=line).check(machine, target, within=2)
    folder, port = machine.root / "releases" / "r2", machine.host.port("web", "blue")
    assert reading.detail == f'exit status 0: {folder} its "here" {port} r2 blue'


def test_without_a_release_it_runs_in_the_current_one(machine: Machine, target: Target) -> None:
    reading = CommandProbe(run="pwd -P").check(machine, replace(target, release=""), within=2)
    assert reading.detail.endswith("/releases/r2")


def test_a_line_that_never_ends_is_killed_on_the_host(machine: Machine, target: Target) -> None:
    mark = machine.root / "mark"
    reading = CommandProbe(run=f"trap '' TERM; sleep 3; touch {mark}").check(machine, target, within=0.3)
    assert not reading.ok and "no end within 0.3 s" in reading.detail
    assert not mark.exists()
