"""A run as cases for reports of CI: each step, each gate and the run itself, with how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GatePassed,
    PlanMade,
    RunFinished,
    RunStarted,
    StepFinished,
)
from dojo_deploy.reporters.sentences import sentences
from dojo_deploy.reporters.text import inert, inert_lines, seconds

UNDO = "~undo"
MOST = 8000  # characters of one cause
PASSED, FAILED, UNKNOWN, SKIPPED = "passed", "failed", "unknown", "skipped"
OUTCOMES = {"done": PASSED, "replayed": PASSED, "skipped": SKIPPED, "failed": FAILED, "unknown": UNKNOWN}
Some = TypeVar("Some", bound=Event)


@dataclass(frozen=True)
class Case:
    """`title` is one line; `text` is all that is known of the cause, many lines."""

    stage: str
    name: str
    seconds: float = 0.0
    state: str = PASSED
    title: str = ""
    text: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.state in (FAILED, UNKNOWN)


def cases(events: Sequence[Event]) -> tuple[Case, ...]:
    """In the order of their ends; then what was planned and never came, and last the run as a whole."""
    ended = {key: case for event in events for key, case in _case(event)}
    missing = {key: case for event in events if isinstance(event, PlanMade) for key, case in _planned(event.plan)}
    late = (case for key, case in missing.items() if key not in ended)
    finished, started = last(events, RunFinished), last(events, RunStarted)
    return (*ended.values(), *late, _whole(finished, started))


def last(events: Iterable[Event], kind: type[Some]) -> Some | None:
    """The newest event of a kind."""
    found = None
    for event in events:
        found = event if isinstance(event, kind) else found
    return found


def _case(event: Event) -> Iterator[tuple[tuple[str, bool], Case]]:
    if isinstance(event, StepFinished):
        stage, name = _named(event.step, event.host, event.name)
        state = OUTCOMES.get(event.outcome, FAILED)
        how = "its answer was lost: it may have run" if state == UNKNOWN else f"{event.outcome}{_first(event.detail)}"
        yield (event.step, False), Case(stage, name, event.seconds, state, *_cause(how, event.detail, state))
    elif isinstance(event, (GatePassed, GateFailed)):
        stage, name = _named(event.step, event.host, event.step.rpartition("/")[2].removesuffix(UNDO))
        state = PASSED if isinstance(event, GatePassed) else FAILED
        cause = event.cause if isinstance(event, GateFailed) else ""
        how = f"the gate did not pass within {seconds(event.seconds)}"
        yield (event.step, True), Case(stage, f"{name}, gate", event.seconds, state, *_cause(how, cause, state))
    elif isinstance(event, CensusTaken):
        state = FAILED if event.verdict == "mixed" else PASSED
        rows = "\n".join(sentences(event, verbose=False))
        why = _cause(f"the fleet is {event.verdict}", rows, state)
        yield ("census", False), Case("run", "census", 0.0, state, *why)


def _planned(plan: Any) -> Iterator[tuple[tuple[str, bool], Case]]:
    for stage in plan.get("stages", ()):
        for lane in stage["lanes"]:
            for step in lane["steps"]:
                key = f"{stage['name']}/{lane['host']}/{step['name']}"
                name = f"{lane['host']}: {step['name']}"
                missed = Case(inert(stage["name"]), inert(name), state=SKIPPED, title="not run by this command")
                yield (key, False), missed
                if step.get("gate"):
                    late = Case(inert(stage["name"]), inert(f"{name}, gate"), state=SKIPPED, title=missed.title)
                    yield (key, True), late


def _whole(finished: RunFinished | None, started: RunStarted | None) -> Case:
    name = f"{started.strategy} as a whole" if started else "as a whole"
    if finished is None:
        return Case("run", inert(name), 0.0, UNKNOWN, *_cause("no end was told: it may be going on", "", UNKNOWN))
    state = FAILED if finished.exit_code else PASSED
    how = f"{finished.verdict}, exit {finished.exit_code}{_first(finished.reason)}"
    return Case("run", inert(name), finished.seconds, state, *_cause(how, finished.reason, state))


def _named(step: str, host: str, name: str) -> tuple[str, str]:
    undo = " (undo)" if step.endswith(UNDO) else ""
    return inert(step.partition("/")[0]), inert(f"{host}: {name}{undo}")


def _first(text: str) -> str:
    line = text.strip("\n").partition("\n")[0]
    return f": {line}" if line else ""


def _cause(title: str, text: str, state: str) -> tuple[str, str]:
    """Of what went wrong only: what went well has no cause."""
    if state not in (FAILED, UNKNOWN):
        return "", ""
    cause = "\n".join(inert_lines(text)) if text.strip() else ""
    return inert(title), cause if len(cause) <= MOST else f"{cause[:MOST]}\n… {len(cause) - MOST:,} characters more"
