"""One run on the bed, with something done to a host at a chosen moment, and what is found afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dojo_deploy import app
from dojo_deploy.events import Event, OutputWritten, StepFinished, StepStarted, Warned
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from tests.e2e.fleet import Fleet

OTHER = {"v1": "v2", "v2": "v1"}
# What is tested here is what a fault does, and not how patient a gate is.
PATIENCE = {"gate.every": "100ms", "gate.in_a_row": "2", "gate.grace": "2s", "gate.within": "10s"}
QUICK = {
    "rolling": {
        **PATIENCE,
        "batches": '[1, "100%"]',
        "order": "inventory",
        "prove": "off",
        "bake.first": "0s",
    },
    "blue-green": {**PATIENCE, "watch": "500ms"},
}
HERE = "here it is"
# Whatever strikes: every wait has a deadline, and the longest of these tests' own are 30 s each.
ENDS_WITHIN = 120.0
# What becomes of a request on a connection that nginx keeps alive, and closes at that moment.
CUT = ("reset before an answer", "closed before an answer")

Moment = Callable[[Event], bool]


@dataclass
class Story:
    """A run that ended: what came of it, everything it told, and how long it took in seconds."""

    result: Result
    events: list[Event] = field(default_factory=list)
    seconds: float = 0.0

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def outcome(self, step: str) -> str:
        """How a step ended, as told last; empty if it did not."""
        return next((event.outcome for event in reversed(self.of(StepFinished)) if event.step == step), "")

    @property
    def warnings(self) -> str:
        return "\n".join(event.text for event in self.of(Warned))

    @property
    def ended(self) -> tuple[str, int]:
        return self.result.verdict, self.result.exit_code


def deploying(
    fleet: Fleet,
    ref: str,
    *acts: tuple[Moment, Callable[[], object]],
    strategy: str = "rolling",
    probe: float = 0.0,
    hooks: list[dict[str, Any]] | None = None,
    **overrides: str,
) -> Story:
    """Deploys `ref`, with something done at some moments."""
    values: Mapping[str, str] = {
        **QUICK[strategy],
        **({"hooks": json.dumps(hooks)} if hooks else {}),
        **{key.replace("__", "."): value for key, value in overrides.items()},
    }
    return told(
        lambda wishes: app.deploy(fleet.inventory, strategy, ref=ref, overrides=values, wishes=wishes),
        *acts,
        probe=probe,
    )


def going_back(fleet: Fleet, *acts: tuple[Moment, Callable[[], object]], probe: float = 0.0) -> Story:
    """Rolls back, which during standby is a switch, with something done at some moments."""
    return told(lambda wishes: app.rollback(fleet.inventory, overrides=PATIENCE, wishes=wishes), *acts, probe=probe)


def told(change: Callable[[Wishes], Result], *acts: tuple[Moment, Callable[[], object]], probe: float = 0.0) -> Story:
    """Each act is done once, at its moment, in the thread that tells of it: the run waits for it."""
    events: list[Event] = []
    left = list(acts)
    raised: list[Exception] = []

    def watch(event: Event) -> None:
        events.append(event)
        for act in [act for act in left if act[0](event)]:
            left.remove(act)
            try:
                act[1]()
            except Exception as exc:  # a run goes on whoever watches it
                raised.append(exc)

    started = time.monotonic()
    result = change(Wishes(subscribers=(watch,), probe_rate=probe))
    story = Story(result, events, time.monotonic() - started)
    if raised:
        raise raised[0]
    assert not left, f"{len(left)} moments never came: {result.reason}"
    assert story.seconds < ENDS_WITHIN, f"{story.seconds:.0f} s: {result.reason}"
    return story


def loses_nothing(story: Story) -> None:
    """No request failed. Rolling reloads nginx 1.22, which may cut a kept-alive one or two, as the plan says."""
    load, plan = story.result.load, story.result.plan
    assert load and plan, story.result.reason
    cut = sum(load.errors.get(error, 0) for error in CUT) if plan.strategy == "rolling" else 0
    assert cut <= 2 and load.failures == cut, (load.failures, load.requests, load.errors)


def at(kind: type[Event], **values: Any) -> Moment:
    """The first event of that kind and with those values."""
    return lambda event: isinstance(event, kind) and all(getattr(event, key) == one for key, one in values.items())


def begins(stage: str, host: str) -> Moment:
    """The first step of a host in a stage is about to be sent."""
    return lambda event: isinstance(event, StepStarted) and event.step.startswith(f"{stage}/{host}/")


def within(host: str) -> Moment:
    """The middle of the step that `counting` puts before each switch."""
    return lambda event: isinstance(event, OutputWritten) and event.host == host and event.line == HERE


def counting(seconds: float = 1.0, deadline: str = "60s", phase: str = "batch") -> list[dict[str, Any]]:
    """A step on each host before a phase, which must not run twice: it counts, says where it is, and waits."""
    return [
        {
            "name": "count",
            "phase": phase,
            "when": "before",
            "on": "each",
            "run": f'echo "$RELEASE" >> "$SHARED_DIR/../counted"; echo {HERE}; sleep {seconds}; echo counted; exit 0',
            "idempotent": False,
            "deadline": deadline,
        }
    ]
