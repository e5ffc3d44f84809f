"""Queue workers from one colour to the other: the old ones end before the new ones begin, so no job is taken twice."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dojo_deploy.command import Command
from dojo_deploy.plan import Gate, Lane, OnHost, Stage, Step, Target
from dojo_deploy.release import Placement
from dojo_deploy.steps import services

LINE = '[ ! -f "$RELEASE_DIR/.dojo/env.sh" ] || . "$RELEASE_DIR/.dojo/env.sh"\ncd "$RELEASE_DIR" || exit 1\n'


@dataclass(frozen=True)
class Workers:
    """Keys of `workers:`. Lines for workers inside of processes that listen; processes without a port need none.

    `pause`: take no new job. `drain`: returns when none is under way. `resume`: take jobs again. Each runs on every
    host of the colour, in its release and with its environment. `within` in seconds, for pausing and draining.
    """

    pause: str = ""
    drain: str = ""
    resume: str = ""
    within: float = 300.0


def hand_over(
    out: tuple[Placement, ...], into: tuple[Placement, ...], settings: Workers, gate: Gate, *, leaving: bool = False
) -> tuple[Stage, ...]:
    """The workers of `out` end, then those of `into` begin. `leaving`: what is left may be too sick to pause."""
    ends = tuple(Lane(place.host.name, (_end(place, settings, leaving=leaving),)) for place in out)
    return (*((Stage("end workers", ends),) if ends else ()), begin(into, settings, gate))


def pause(places: tuple[Placement, ...], settings: Workers, *, stays: bool = False) -> Stage:
    """No job is under way and none is taken, also after a reboot; undone by letting the workers go on.

    `stays`: not undone, as they were paused before.
    """
    lanes = []
    for place in places:
        ends = _end(place, settings, leaving=False)
        lanes.append(Lane(place.host.name, (replace(ends, undo=None) if stays else ends, *services.save(place))))
    return Stage("pause workers", tuple(lanes))


def begin(places: tuple[Placement, ...], settings: Workers, gate: Gate) -> Stage:
    """The workers take jobs, and their hosts are held to `gate`."""
    return Stage("begin workers", tuple(Lane(place.host.name, (_begin(place, settings, gate),)) for place in places))


def _end(place: Placement, settings: Workers, *, leaving: bool) -> Step:
    again = (*_resumed(place, settings), *services.saved(place))
    undo = Step("resume workers", OnHost(again), deadline=services.patience(place))
    deadline = settings.within + services.patience(place)
    return Step("pause workers", OnHost(_paused(place, settings, sick=leaving)), undo=undo, deadline=deadline)


def _begin(place: Placement, settings: Workers, gate: Gate) -> Step:
    # Undone is what was not good enough: it may not even be able to pause.
    undo = Step(
        "pause workers",
        OnHost(_paused(place, settings, sick=True)),
        deadline=settings.within + services.patience(place),
    )
    aimed = gate.at(Target(place.host.name, place.slot, place.release))
    commands, deadline = OnHost(_resumed(place, settings)), services.patience(place)
    return Step("begin workers", commands, gate=aimed, undo=undo, deadline=deadline)


def _paused(place: Placement, settings: Workers, *, sick: bool) -> tuple[Command, ...]:
    workers = place.app.processes.workers
    lines = [line for line in (settings.pause, settings.drain) if line]
    return (
        *services.files(replace(place, workers="paused")),
        *(_line(place, line, settings.within, sick=sick) for line in lines),
        *(services.stop(replace(place, only=workers)) if workers else ()),
    )


def _resumed(place: Placement, settings: Workers) -> tuple[Command, ...]:
    workers = place.app.processes.workers
    return (
        *(services.start(replace(place, only=workers)) if workers else services.files(place)),
        *((_line(place, settings.resume, settings.within, sick=False),) if settings.resume else ()),
    )


def _line(place: Placement, line: str, within: float, *, sick: bool) -> Command:
    # `timeout 0` would be no limit at all.
    limited = f'timeout -k 5 {max(1, math.ceil(within))} sh -c "$LINE"'
    tail = ' || echo "this failed, and what is left behind is not waited for: $LINE"' if sick else ""
    return Command.shell(limited + tail, env={**place.variables, "LINE": LINE + line})
