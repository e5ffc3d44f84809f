"""What a bake holds out for: the whole of its time without a break, and no longer than a gate once it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from dojo_deploy.errors import GateFailedError
from dojo_deploy.gates import Passed, hold
from dojo_deploy.plan import Gate, Step
from dojo_deploy.readings import Reading
from dojo_deploy.steps.rollout import Bake
from dojo_deploy.strategies.rolling import Rolling
from tests.sites import NEW, fleet, site

SECONDS = 30.0


@dataclass
class Clock:
    """Sleeping is all that takes time."""

    time: float = 0.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float, _wake: threading.Event | None = None) -> None:
        self.time += seconds


def _bake() -> Step:
    inventory = site(2)
    plan = Rolling(bake=Bake(first=SECONDS)).plan(inventory, NEW, fleet(inventory))
    return next(step for _, _, _, step in plan.steps() if step.name == "bake")


def _held(is_well: Callable[[float], bool]) -> tuple[Passed | GateFailedError, float]:
    """How the bake ends when the release is well at the times that `is_well` says, and when."""
    clock, gate = Clock(), _bake().gate
    assert gate

    def check(_session: object, _target: object, *, within: float) -> Reading:
        assert within > 0
        return Reading(is_well(clock.time), "asked")

    probe = SimpleNamespace(check=check)
    app = SimpleNamespace(processes=SimpleNamespace(kind=None))
    inventory = SimpleNamespace(hosts={}, probes={"release": probe, "health": probe}, app=app, path="")
    session = SimpleNamespace(inventory=inventory, clock=clock, cancelled=threading.Event())
    try:
        return hold(gate, session, emit=lambda _: None, step="bake"), clock.time  # type: ignore[arg-type]
    except GateFailedError as exc:
        return exc, clock.time


def test_a_release_that_stays_well_is_baked_for_the_whole_time() -> None:
    passed, seconds = _held(lambda _: True)
    assert isinstance(passed, Passed)
    assert seconds == pytest.approx(SECONDS, abs=1.0)


def test_a_release_that_is_dead_is_undone_as_soon_as_at_any_gate() -> None:
    failed, seconds = _held(lambda _: False)
    assert isinstance(failed, GateFailedError)
    assert seconds <= Gate().in_a_row * Gate().every


@pytest.mark.parametrize("begins", [1.0, 10.0, 25.0])
def test_a_release_that_falls_sick_while_it_bakes_has_failed(begins: float) -> None:
    failed, seconds = _held(lambda time: not begins <= time < begins + 5)
    assert isinstance(failed, GateFailedError)
    assert seconds <= begins + Gate().in_a_row


def test_a_release_that_is_well_at_the_end_only_has_failed() -> None:
    assert isinstance(_held(lambda time: time > SECONDS - 1)[0], GateFailedError)


def test_one_lost_reading_does_not_undo_a_release_but_is_made_up_for() -> None:
    passed, seconds = _held(lambda time: not 9.5 < time < 10.5)
    assert isinstance(passed, Passed)
    assert seconds >= 10 + SECONDS


def test_a_gate_may_say_how_many_failures_end_a_bake() -> None:
    inventory = site(2)
    strategy = Rolling(bake=Bake(first=SECONDS), gate=replace(Gate(), failures=7))
    plan = strategy.plan(inventory, NEW, fleet(inventory))
    gates = {step.name: step.gate for _, _, _, step in plan.steps() if step.gate}
    assert gates["bake"].failures == 7
