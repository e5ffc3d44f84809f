"""The operator's own commands as steps: planned, printed, gated by their exit status, journalled and undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, RunFailedError
from dojo_deploy.plan import CONTROLLER, Action, Lane, OnHost, Stage, Step
from dojo_deploy.release import Placement
from dojo_deploy.steps.database import refuse_destructive

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

PHASES = ("run", "prepare", "migrate", "batch", "switch", "finish")
MOMENTS = ("before", "after", "on_failure")
PLACES = ("controller", "once", "each")


@dataclass(frozen=True)
class Hook:
    """Keys of an entry of `hooks:` in a strategy file.

    `on`: `controller`, `once` (the first host of the phase) or `each` host of the phase; in phase `batch` all of these
    run once more for each batch. `deadline` in seconds; a hook that must never run twice after a crash says
    `idempotent: false`; its `undo` is tried again until it succeeds. A hook that fails fails the run; but what comes
    `after` the phase `run` comes when all gates have passed: its failure is told, and undoes nothing. `on_failure`
    hooks run for a failure in their phase, those of phase `run` for any and for an abort: once it is undone, halted, or
    left out.
    """

    run: str
    phase: str = "run"
    when: str = "before"
    on: str = "controller"
    name: str = ""
    deadline: float = 60.0
    undo: str = ""
    idempotent: bool = True

    def __post_init__(self) -> None:
        for value, allowed in ((self.phase, PHASES), (self.when, MOMENTS), (self.on, PLACES)):
            if value not in allowed:
                raise ConfigError(f"a hook has no {value!r}", hint=f"one of: {', '.join(allowed)}")
        refuse_destructive(self.run)
        refuse_destructive(self.undo, "undo")


@dataclass(frozen=True)
class OnController:
    """A line run on the machine that deploys."""

    command: Command
    deadline: float
    idempotent: bool = True

    def preview(self) -> tuple[str, ...]:
        return (str(self.command),)

    def run(self, session: Session) -> None:
        done = session.shell(CONTROLLER).run(self.command, within=self.deadline)
        for line in done.text.splitlines():
            session.say(line)
        if not done.ok:
            raise RunFailedError(f"hook ended {done.status}: {done.complaint}")


def stages(hooks: Iterable[Hook], phase: str, when: str, places: tuple[Placement, ...]) -> tuple[Stage, ...]:
    """The stages that the hooks of one moment make, in the order in which they are written."""
    chosen = [hook for hook in hooks if (hook.phase, hook.when) == (phase, when)]
    decides = (phase, when) != ("run", "after")
    return tuple(
        Stage(f"{when} {phase}: {label}", lanes(hook, places), phase=phase, decides=decides)
        for label, hook in _labelled(chosen)
    )


def failure_stages(hooks: Iterable[Hook], places: tuple[Placement, ...]) -> tuple[Stage, ...]:
    """What runs once a failure in the phase that each names was dealt with."""
    chosen = [hook for hook in hooks if hook.when == "on_failure"]
    return tuple(
        Stage(f"on failure{_of(hook.phase)}: {label}", lanes(hook, places), phase=hook.phase)
        for label, hook in _labelled(chosen)
    )


def steps(hooks: Iterable[Hook], when: str, place: Placement) -> tuple[Step, ...]:
    """The `batch` hooks that run on each host, as steps of that host's lane."""
    chosen = [hook for hook in hooks if (hook.phase, hook.when, hook.on) == ("batch", when, "each")]
    return tuple(_step(hook, place, f"{when} batch: {label}") for label, hook in _labelled(chosen))


def lanes(hook: Hook, places: tuple[Placement, ...]) -> tuple[Lane, ...]:
    """Where the hook runs, as it says: on the controller, on the first of `places`, or on each."""
    name = hook.name or "hook"
    if hook.on == "controller":
        return (Lane(CONTROLLER, (_step(hook, places[0], name),)),)
    chosen = places[:1] if hook.on == "once" else places
    return tuple(Lane(place.host.name, (_step(hook, place, name),)) for place in chosen)


def refuse_phases(hooks: Iterable[Hook], known: tuple[str, ...]) -> None:
    """Raises ConfigError for a hook around something that the strategy never does."""
    for hook in hooks:
        if hook.phase not in known:
            raise ConfigError(
                f"the hook {hook.name or hook.run!r} waits for the phase {hook.phase!r}, which never comes here",
                key="hooks",
                hint=f"one of: {', '.join(known)}",
            )


def _of(phase: str) -> str:
    return "" if phase == "run" else f" of {phase}"


def _labelled(hooks: Sequence[Hook]) -> list[tuple[str, Hook]]:
    """Names tell apart hooks of one moment; those that cannot are numbered too."""
    names = [hook.name for hook in hooks]
    return [
        (hook.name if hook.name and names.count(hook.name) == 1 else f"{hook.name} {number}".strip(), hook)
        for number, hook in enumerate(hooks, 1)
    ]


def _step(hook: Hook, place: Placement, name: str) -> Step:
    # One that failed, and could never be tried again, would leave the run open for ever.
    again = replace(hook, idempotent=True)
    undo = Step(f"undo {name}", _action(again, place, hook.undo), deadline=hook.deadline) if hook.undo else None
    once = hook.on != "each" and hook.phase != "batch"
    return Step(name, _action(hook, place, hook.run), undo=undo, deadline=hook.deadline, once=once)


def _action(hook: Hook, place: Placement, line: str) -> Action | OnHost:
    if hook.on == "controller":
        hidden = ("HOST", "RELEASE_DIR", "CURRENT", "SHARED_DIR", "PORT")
        values = {name: value for name, value in place.variables.items() if name not in hidden}
        return OnController(Command.shell(line, env=values), hook.deadline, hook.idempotent)
    return OnHost((Command.shell(line, env=place.variables),), idempotent=hook.idempotent)
