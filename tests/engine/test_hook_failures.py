"""Which hook runs when, and what its failure does to a fleet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dojo_deploy.events import StepFinished, UndoStarted, Warned
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps.hooks import Hook, failure_stages, stages
from tests.engine.killing import Killer
from tests.engine.rig import Fleet
from tests.engine.tiny import Tiny

NEW = {"web1": "v2", "web2": "v2"}
OLD = {"web1": "v1", "web2": "v1"}


@dataclass(frozen=True)
class Hooked(Tiny):
    """The tiny strategy, with hooks around it. Each line is run in the balancer's folder."""

    lines: tuple[str, ...] = ()  # phase, moment, place and line, each behind a colon

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        plan = super().plan(site, release, seen)
        folder = site.balancer.folder  # type: ignore[attr-defined]
        places = tuple(Placement(host, seen.live, release.id, site.app) for host in site.select(self.limit))
        hooks = []
        for number, line in enumerate(self.lines):
            phase, when, on, run = line.split(":", 3)
            hooks.append(Hook(f"cd {folder} && {run}", phase, when, on, f"h{number}", idempotent="once" not in run))
        ends = tuple(stage for phase in ("finish", "run") for stage in stages(hooks, phase, "after", places))
        return replace(plan, stages=(*plan.stages, *ends), after_failure=failure_stages(hooks, places))


def diary(fleet: Fleet) -> list[str]:
    file = fleet.doors / "diary"
    return sorted(file.read_text().split()) if file.exists() else []


ALARMS = tuple(f"{phase}:on_failure:controller:echo {phase} >> diary" for phase in ("run", "migrate", "batch"))


@pytest.mark.parametrize("on", ["controller", "once", "each"])
def test_what_runs_after_the_run_undoes_nothing_when_it_fails(fleet: Fleet, on: str) -> None:
    lines = (f"run:after:{on}:echo tried >> diary; echo no good >&2; exit 7", "run:after:controller:echo told >> diary")
    result = fleet.deploy(Hooked(lines=(*lines, *ALARMS)))
    assert (result.verdict, result.exit_code, fleet.on()) == ("done", 0, NEW)
    assert diary(fleet) == sorted([*["tried"] * (2 if on == "each" else 1), "told"])
    assert "h0" in result.reason
    assert "no good" in result.reason
    assert "undoes nothing" in "".join(event.text for event in fleet.events if isinstance(event, Warned))
    assert not [event for event in fleet.events if isinstance(event, UndoStarted)]
    assert fleet.is_clean()
    assert fleet.known().passed
    assert not fleet.known().bad


def test_what_runs_after_another_phase_is_part_of_the_run(fleet: Fleet) -> None:
    result = fleet.deploy(Hooked(lines=("finish:after:controller:exit 7", "run:after:controller:echo told >> diary")))
    assert (result.verdict, result.exit_code, fleet.on()) == ("rolled back", 20, OLD)
    assert diary(fleet) == []


def test_a_hook_that_may_run_once_and_never_ended_undoes_nothing_either(fleet: Fleet, kills: Killer) -> None:
    lines = ("run:after:controller:echo once | tee -a diary",)
    whole = Fleet(fleet.base.parent / "whole")
    whole.deploy(Hooked(lines=lines))
    said = next(number for number, event in enumerate(whole.events, 1) if getattr(event, "line", "") == "once")
    assert kills.deploy(fleet, after=said, kind="tests.engine.test_hook_failures:Hooked", lines=lines)
    assert diary(fleet) == ["once"]
    result = fleet.go_on()
    assert (result.verdict, result.exit_code, fleet.on()) == ("done", 0, NEW)
    assert "must not run twice" in result.reason
    assert diary(fleet) == ["once"]
    assert fleet.is_clean()


@pytest.mark.parametrize(("fault", "called"), [("gate", ["batch", "run"]), ("migrated", ["migrate", "run"]), ("", [])])
@pytest.mark.parametrize("on_failure", ["rollback", "halt"])
def test_a_failure_calls_the_hooks_of_its_phase_and_of_the_run(
    fleet: Fleet, fault: str, called: list[str], on_failure: str
) -> None:
    if fault:
        fleet.fault("web1", fault)
    result = fleet.deploy(Hooked(lines=ALARMS, on_failure=on_failure))
    assert result.verdict == ("done" if not fault else "halted" if on_failure == "halt" else "rolled back")
    assert diary(fleet) == called


def test_a_tolerated_failure_calls_them_too_once_at_the_end(fleet: Fleet) -> None:
    fleet.fault("web1", "gate")
    lines = (*ALARMS, "batch:on_failure:each:echo each >> diary", "run:after:controller:echo after >> diary")
    result = fleet.deploy(Hooked(lines=lines, max_failures=1))
    assert (result.verdict, result.exit_code) == ("tolerated", 30)
    assert diary(fleet) == ["after", "batch", "each", "each", "run"]
    ended = [event.step.split(":")[0] for event in fleet.events if isinstance(event, StepFinished)]
    assert ended.index("after run") < ended.index("on failure")
    assert fleet.is_clean()


def test_a_failure_that_another_session_undoes_calls_the_hooks_of_its_phase(fleet: Fleet, kills: Killer) -> None:
    whole = Fleet(fleet.base.parent / "whole")
    whole.fault("web1", "gate")
    whole.deploy(Hooked(lines=ALARMS))
    undoing = next(number for number, event in enumerate(whole.events, 1) if isinstance(event, UndoStarted))
    fleet.fault("web1", "gate")
    assert kills.deploy(fleet, after=undoing + 2, kind="tests.engine.test_hook_failures:Hooked", lines=ALARMS)
    assert diary(fleet) == []
    assert fleet.go_on().verdict == "rolled back"
    assert diary(fleet) == ["batch", "run"]


def test_an_abort_calls_the_hooks_of_the_run_alone(fleet: Fleet) -> None:
    fleet.fault("web1", "gate")
    fleet.deploy(Hooked(lines=ALARMS, on_failure="halt"))
    (fleet.doors / "diary").unlink()
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert diary(fleet) == ["run"]
