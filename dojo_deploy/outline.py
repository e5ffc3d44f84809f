"""A plan for people: every command of every host, and what is long told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dojo_deploy.estimate import sentence

if TYPE_CHECKING:
    from dojo_deploy.plan import Lane, Plan, Stage, Step

LONG = 8  # lines; what is shorter is always told in full
ALIKE = 0.7  # the part of equal lines from which only the others are told
INDENT = "  "


@dataclass
class Told:
    """Long commands that were told in full: where, and their lines."""

    found: list[tuple[str, list[str]]] = field(default_factory=list)

    def shorten(self, where: str, lines: list[str]) -> list[str]:
        """The lines; or, for one that was told before, where that was and each line that differs."""
        if len(lines) < LONG:
            return lines
        for place, known in self.found:
            if len(known) == len(lines):
                pairs = enumerate(zip(lines, known, strict=True), 1)
                other = [f"{number}: {line.strip()}" for number, (line, before) in pairs if line != before]
                if len(other) <= len(lines) * (1 - ALIKE):
                    head = f"the {len(lines)} lines of {place}"
                    return [f"{head}, but line", *(INDENT + line for line in other)] if other else [head]
        number = sum(place.startswith(where) for place, _ in self.found)
        self.found.append((f"{where}" + (f" ({number + 1})" if number else ""), lines))
        return lines


def rows(plan: Plan, *, commands: bool) -> Iterator[str]:
    """The plan's lines. With `commands` nothing that a run does is left out."""
    told = Told()
    yield f"{plan.strategy} {plan.release.id}".rstrip()
    yield INDENT + sentence(plan)
    yield from (f"{INDENT}! {note}" for note in plan.notes)
    for stage in plan.stages:
        if commands:
            yield ""
        yield from _stage(stage, told, commands=commands)
    if plan.after_failure:
        yield f"{INDENT}after a failure, once it is undone, halted or left out:"
        for stage in plan.after_failure:
            yield from _stage(stage, told, commands=commands)


def _stage(stage: Stage, told: Told, *, commands: bool) -> Iterator[str]:
    said = "" if stage.decides else " (a failure here undoes nothing)"
    yield INDENT + stage.name + (" (users are served: nobody waits for it)" if stage.apart else said)
    for lane in stage.lanes:
        yield INDENT * 2 + lane.host
        for step in lane.steps:
            yield from (INDENT * 3 + row for row in _step(lane, step, told, commands=commands))


def _step(lane: Lane, step: Step, told: Told, *, commands: bool) -> Iterator[str]:
    marks = [word for word, on in (("once", step.once), ("no return", step.point_of_no_return)) if on]
    yield step.name + (f" ({', '.join(marks)})" if marks else "")
    if commands:
        for text in step.action.preview():
            first, *more = told.shorten(f"{lane.host}'s {step.name}", text.split("\n"))
            yield f"{INDENT}$ {first}"
            yield from (f"{INDENT}  {row}".rstrip() for row in more)
    if step.gate:
        yield f"{INDENT}gate: {step.gate.preview()}"
    if commands and step.undo:
        yield f"{INDENT}undo: {step.undo.name}"
