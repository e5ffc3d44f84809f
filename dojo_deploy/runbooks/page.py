"""A runbook for people, written from plans: each procedure with its commands, why, how it is verified, how undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.runbooks.why import why

if TYPE_CHECKING:
    from dojo_deploy.plan import Lane, Plan, Stage, Step

MOST_LINES = 12  # of one step's commands; the dry run shows all


@dataclass(frozen=True)
class Procedure:
    """`plan`, made by `strategy`, is what it does; without one, `impossible` may say why it is not possible here."""

    title: str
    why: str
    commands: tuple[tuple[str, str], ...]  # what is typed, and what for
    verify: str
    undo: str
    strategy: str = ""
    plan: Plan | None = None
    impossible: str = ""


def page(name: str, head: Sequence[str], procedures: Iterable[Procedure]) -> str:
    """The whole document, in Markdown."""
    return "\n".join((f"# {name}: runbook", "", *head, *(row for one in procedures for row in _procedure(one)), ""))


def _procedure(one: Procedure) -> Iterator[str]:
    yield from ("", f"## {one.title}", "", f"{one.why}.")
    if one.impossible:
        yield from ("", f"Not possible here: {one.impossible}")
        return
    width = max(len(line) for line, _ in one.commands)
    yield from ("", "```console", *(f"$ {line.ljust(width)}  # {what}" for line, what in one.commands), "```")
    yield from ("", f"- Verify: {one.verify}", f"- Undo: {one.undo}")
    if one.plan:
        yield from ("", "What it does, step by step:")
        yield from _notes(one.plan)
        yield from _stages(one.plan)


def _notes(plan: Plan) -> Iterator[str]:
    if plan.notes:
        yield from ("", *(f"- Note: {note}" for note in plan.notes))


def _stages(plan: Plan) -> Iterator[str]:
    told: dict[tuple[str, ...], str] = {}
    for stage in plan.stages:
        for hosts, lane in _alike(stage):
            shape = tuple(step.name for step in lane.steps)
            named = f"**{stage.name}**, on {' '.join(hosts)}"
            if shape in told:
                yield from ("", f"{named}: as in {told[shape]}")
                continue
            told[shape] = stage.name
            yield from ("", f"{named}:")
            for number, step in enumerate(lane.steps, 1):
                yield from ("", *_step(number, step))


def _alike(stage: Stage) -> Iterator[tuple[list[str], Lane]]:
    """Lanes of the same steps once, with all their hosts."""
    found: dict[tuple[str, ...], tuple[list[str], Lane]] = {}
    for lane in stage.lanes:
        found.setdefault(tuple(step.name for step in lane.steps), ([], lane))[0].append(lane.host)
    return iter(found.values())


def _step(number: int, step: Step) -> Iterator[str]:
    last = " From here on nothing before it is undone." if step.point_of_no_return else ""
    yield f"{number}. **{step.name}**: {why(step.name)}.{last}"
    lines = [line for text in step.action.preview() for line in text.split("\n")]
    if lines:
        more = len(lines) - MOST_LINES
        yield from ("", "   ```text", *(f"   {line}".rstrip() for line in lines[:MOST_LINES]))
        yield from ([f"   … {more} more lines: --dry-run shows them"] if more > 0 else [])
        yield "   ```"
    if step.gate:
        yield from ("", f"   Verify: {step.gate.preview()}")
    if step.undo:
        yield from ("", f"   Undo: {step.undo.name}")
