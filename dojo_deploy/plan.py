"""A plan: stages of lanes of steps. Pure data, made by a strategy, carried out by the runner, printed by anyone.

A step is the smallest change that can be gated, and undone, on its own. Lanes of a stage run side by side; a stage ends
when all its lanes have ended. Undoing is: every started step, last first, lane by lane, down to a point of no return.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError
from dojo_deploy.release import Release, Standby

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

CONTROLLER = "controller"  # the lane of steps that touch no host of their own


@runtime_checkable
class Action(Protocol):
    """What a step does from the controller. Must be right when repeated after having done nothing, part or all."""

    def preview(self) -> tuple[str, ...]:
        """What it will do, line by line, secrets masked; the same lines whether planned or run."""

    def run(self, session: Session) -> None:
        """Does it, within the step's deadline. Raises a DojoError when it could not."""


@dataclass(frozen=True)
class OnHost:
    """Commands for the lane's own host; consecutive ones travel together as one host job.

    `idempotent=False` makes the host sync its record before the step, so that it can never run twice.
    `guarded` then lets it run again all the same: it finds `$DOJO_BEGUN` set to 1 when an earlier attempt of this run
    began and never ended well, and decides by what it finds. `artifact` gives the first command the release's artifact
    on its standard input.
    """

    commands: tuple[Command, ...]
    idempotent: bool = True
    guarded: bool = False
    artifact: bool = False

    def preview(self) -> tuple[str, ...]:
        return tuple(str(command) for command in self.commands)


@dataclass(frozen=True)
class Target:
    """What a gate looks at: one host's slot, straight or through the balancer, and the release that must answer."""

    host: str
    slot: str
    release: str
    via: str = "host"  # or "balancer"
    only: tuple[str, ...] = ()  # processes that must run; empty: all


@dataclass(frozen=True)
class Gate:
    """Probes and patience. Keys of `gate:` in a strategy file; durations in seconds.

    Failures before `grace` do not count; after it `in_a_row` successes pass and `in_a_row` failures end it; `within`
    is the deadline of the whole.
    """

    probes: tuple[str, ...] = ("release", "health")
    every: float = 1.0
    grace: float = 10.0
    within: float = 60.0
    in_a_row: int = 3
    failures: int = 0  # failed rounds in a row that end it; 0: as many as `in_a_row`
    target: Target | None = None

    def at(self, target: Target, *, probes: tuple[str, ...] | None = None) -> Gate:
        """This gate, aimed."""
        return replace(self, target=target, probes=self.probes if probes is None else probes)

    def preview(self) -> str:
        aim = f" of {self.target.slot} via {self.target.via}" if self.target else ""
        return f"{' + '.join(self.probes)}{aim}, {self.in_a_row} in a row within {self.within:g} s"


@dataclass(frozen=True)
class Step:
    """One change: `name` is unique in its lane. `undo` must be right if the step did nothing, part or all of it."""

    name: str
    action: Action | OnHost
    gate: Gate | None = None
    undo: Step | None = None
    point_of_no_return: bool = False
    no_way_back: bool = False  # once it began its lane is left as it is: what was there before could not serve any more
    harmless: tuple[int, ...] = ()  # exit statuses by which it says that it has changed nothing
    deadline: float = 60.0
    once: bool = False  # once per run, whatever the batches
    # An undo that is left out for a host that failed within `max_failures`; its gate is held before it, not after.
    brings_traffic: bool = False
    # What to tell people when it fails and its last lines match: pattern -> text; `{name}` is that group of the match.
    explains: tuple[tuple[str, str], ...] = ()
    keeps: str = ""  # what to tell people when undoing stops at this point of no return; empty: that it did

    @property
    def acts(self) -> bool:
        """Without an action it is only a gate."""
        return not isinstance(self.action, OnHost) or bool(self.action.commands)


@dataclass(frozen=True)
class Lane:
    """One host's steps in order; `host` is CONTROLLER for steps without a host."""

    host: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Stage:
    """Lanes side by side. `tolerant`: a failed lane counts against `max_failures` instead of ending the run.

    `undone_first`: users are better off at once without it; until it is undone nothing else may be. `phase`: whose
    `on_failure` hooks a failure here calls, beside those of the whole run. `decides`: without it a failure here is
    told, and neither undoes anything nor keeps away the stages behind it. `apart`: users have what the run is for
    before it, so nobody has to wait for it, and a failure in it halts the run, and takes from them nothing they have.
    """

    name: str
    lanes: tuple[Lane, ...]
    tolerant: bool = False
    undone_first: bool = False
    phase: str = "run"
    decides: bool = True
    apart: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything a run will do, and what to say before it does it."""

    strategy: str
    release: Release
    stages: tuple[Stage, ...]
    slot: str = ""
    notes: tuple[str, ...] = ()  # gaps and risks, in words
    max_failures: int = 0
    on_failure: str = "rollback"  # or "halt"
    on_interrupt: str = "halt"  # or "rollback"
    after_failure: tuple[Stage, ...] = ()  # `on_failure` hooks, once the failure was dealt with
    standby: Standby | None = None  # what is left beside `slot`, for `keep_for` seconds from the end of the run
    keep_for: float = 0.0
    retires: str = ""  # the slot that is no standby any more
    window: str = ""  # the maintenance window in which this is done
    contract: str = ""  # why, once the plan's migration has run, nothing that served before can; empty: it can

    def __post_init__(self) -> None:
        ids = Counter(
            step_id(stage, lane, step)
            for stage in (*self.stages, *self.after_failure)
            for lane in stage.lanes
            for step in lane.steps
        )
        twice = [name for name, count in ids.items() if count > 1]
        if twice:
            raise ConfigError(f"two steps would be {twice[0]!r}", hint="give each hook a name of its own")

    def steps(self) -> Iterator[tuple[str, Stage, Lane, Step]]:
        """Every step with its id, in order."""
        for stage in self.stages:
            for lane in stage.lanes:
                for step in lane.steps:
                    yield step_id(stage, lane, step), stage, lane, step

    def as_dict(self) -> dict[str, object]:
        """Everything, for JSON: secrets masked, order kept."""
        from dojo_deploy.estimate import at_least, at_most

        return {
            "strategy": self.strategy,
            "release": self.release.id,
            "slot": self.slot,
            "notes": list(self.notes),
            "max_failures": self.max_failures,
            "on_failure": self.on_failure,
            "on_interrupt": self.on_interrupt,
            "stages": [_stage_as_dict(stage) for stage in self.stages],
            "after_failure": [_stage_as_dict(stage) for stage in self.after_failure],
            "standby": {**asdict(self.standby), "keep_for": self.keep_for} if self.standby else None,
            "retires": self.retires,
            **({"window": self.window} if self.window else {}),
            **({"contract": self.contract} if self.contract else {}),
            "seconds": {"at_least": at_least(self), "at_most": at_most(self)},
        }

    @cached_property
    def hash(self) -> str:
        """sha256 of the plan's canonical JSON: a resume goes on only with the very same plan."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def outline(self, *, commands: bool = False) -> str:
        """The plan as text; with `commands`, every command of every host."""
        from dojo_deploy.outline import rows

        return "\n".join(rows(self, commands=commands))


def step_id(stage: Stage, lane: Lane, step: Step) -> str:
    return f"{stage.name}/{lane.host}/{step.name}"


def _stage_as_dict(stage: Stage) -> dict[str, object]:
    lanes = [{"host": lane.host, "steps": [_as_dict(step) for step in lane.steps]} for lane in stage.lanes]
    rare = {name: True for name in ("undone_first", "apart") if getattr(stage, name)}
    about = {"tolerant": stage.tolerant, "phase": stage.phase, "decides": stage.decides, **rare}
    return {"name": stage.name, **about, "lanes": lanes}


def _as_dict(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "does": list(step.action.preview()),
        "gate": step.gate.preview() if step.gate else None,
        "undo": _as_dict(step.undo) if step.undo else None,
        "point_of_no_return": step.point_of_no_return,
        **({"no_way_back": True} if step.no_way_back else {}),
        "deadline": step.deadline,
        "once": step.once,
    }
