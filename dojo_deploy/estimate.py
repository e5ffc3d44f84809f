"""How long a plan takes: what its gates alone need, and what its deadlines allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dojo_deploy.plan import Plan, Step


def at_least(plan: Plan) -> float:
    """Seconds: every gate passes at once, and nothing else takes any time."""
    return _total(plan, _gate)


def at_most(plan: Plan) -> float:
    """Seconds: every step and every gate takes all the time that it may.

    For all hosts of a stage side by side. A host that is lost is asked again beyond that, and undoing takes its own.
    """
    return _total(plan, lambda step: (step.deadline if step.acts else 0.0) + (step.gate.within if step.gate else 0.0))


def sentence(plan: Plan) -> str:
    """Both, for people."""
    return f"takes {_shown(at_least(plan))} for its gates at least; its deadlines allow {_shown(at_most(plan))}"


def _total(plan: Plan, of: Callable[[Step], float]) -> float:
    stages = (max((sum(map(of, lane.steps)) for lane in stage.lanes), default=0.0) for stage in plan.stages)
    return round(sum(stages), 3)


def _gate(step: Step) -> float:
    # The first round is asked at once; a bake is a gate of so many rounds.
    return (step.gate.in_a_row - 1) * step.gate.every if step.gate else 0.0


def _shown(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"
