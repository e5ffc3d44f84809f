"""A run as a picture needs it: sessions, and in each the spans of stages, steps, gates and undos, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GatePassed,
    GateRead,
    LoadMeasured,
    PlanMade,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepStarted,
    UndoStarted,
    Warned,
)
from dojo_deploy.reporters.board import UNDO


@dataclass
class Span:
    """Something that took time. `state`: done, replayed, skipped, failed, unknown; `open`: no end is recorded."""

    kind: str  # stage, step, gate, undo
    host: str
    name: str
    stage: str
    begin: float
    end: float
    state: str = "open"
    readings: int = 0
    bad: list[float] = field(default_factory=list)  # moments of the readings that were not ok
    proofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """A gate or a step that failed. `looks`: probe -> its last reading, where bad; `cause`: everything, many lines."""

    step: str
    host: str
    name: str
    at: float
    how: str  # gate, failed, unknown
    cause: str
    looks: Mapping[str, str] = field(default_factory=dict)

    @property
    def undoing(self) -> bool:
        return self.step.endswith(UNDO)


@dataclass
class Session:
    """One program's share of a run. Times are seconds since `zero`, which is in seconds since 1970."""

    zero: float
    end: float = 0.0
    started: RunStarted | None = None
    plan: PlanMade | None = None
    load: LoadMeasured | None = None
    census: CensusTaken | None = None
    finished: RunFinished | None = None
    stages: list[Span] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    warnings: list[tuple[float, str]] = field(default_factory=list)
    undo: UndoStarted | None = None
    undone_from: float = 0.0
    events: list[Event] = field(default_factory=list)

    @property
    def load_begin(self) -> float:
        """Second 0 of the load, on this session's axis."""
        if not self.load:
            return 0.0
        began = moment(self.load.began) if self.load.began else moment(self.load.at) - self.load.seconds
        return began - self.zero


def read(events: Iterable[Event]) -> list[Session]:
    """The sessions in the order in which they began; an event's `seq` begins at 1 again in each."""
    sessions: list[Session] = []
    reading: _Reading | None = None
    last = 0
    for event in events:
        if reading is None or event.seq <= last:
            reading = _Reading(Session(moment(event.at)))
            sessions.append(reading.session)
        last = event.seq
        reading.take(event)
    for session in sessions:
        _end(session)
    return sessions


def moment(at: str) -> float:
    """Seconds since 1970 of an event's time; 0.0 for an event that has none."""
    try:
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def hosts_of(spans: Sequence[Span]) -> list[str]:
    """Hosts in the order in which anything happened on them."""
    return list(dict.fromkeys(span.host for span in spans))


class _Reading:
    """One session, while its events are read."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._now = 0.0
        self._steps: dict[str, Span] = {}
        self._gates: dict[str, Span] = {}
        self._stage: dict[str, Span] = {}
        self._looks: dict[str, dict[str, str]] = {}
        self._takers: dict[type[Event], Callable[[Any], None]] = {
            StageStarted: self._stage_started,
            StageFinished: self._stage_finished,
            StepStarted: self._step_started,
            StepFinished: self._step_finished,
            GateRead: self._gate_read,
            GatePassed: self._gate_ended,
            GateFailed: self._gate_ended,
            UndoStarted: self._undo_started,
            Warned: lambda event: self.session.warnings.append((self._now, event.text)),
            RunStarted: lambda event: setattr(self.session, "started", event),
            PlanMade: lambda event: setattr(self.session, "plan", event),
            LoadMeasured: lambda event: setattr(self.session, "load", event),
            CensusTaken: lambda event: setattr(self.session, "census", event),
            RunFinished: lambda event: setattr(self.session, "finished", event),
        }

    def take(self, event: Event) -> None:
        # A wall clock that was set back must not turn the picture around.
        self._now = max(self._now, moment(event.at) - self.session.zero)
        self.session.end = self._now
        self.session.events.append(event)
        taker = self._takers.get(type(event))
        if taker:
            taker(event)

    def _stage_started(self, event: StageStarted) -> None:
        span = Span("stage", "", event.stage, event.stage, self._now, self._now, readings=len(event.hosts))
        self._stage[event.stage] = span
        self.session.stages.append(span)

    def _stage_finished(self, event: StageFinished) -> None:
        span = self._stage.get(event.stage)
        if span:
            span.end, span.state = self._now, "done" if event.ok else "failed"

    def _step_started(self, event: StepStarted) -> None:
        kind = "undo" if event.step.endswith(UNDO) else "step"
        span = Span(kind, event.host, event.name, event.step.partition("/")[0], self._now, self._now)
        self._steps[event.step] = span
        self.session.spans.append(span)

    def _step_finished(self, event: StepFinished) -> None:
        if event.step not in self._steps:
            self._step_started(StepStarted(step=event.step, host=event.host, name=event.name))
        span = self._steps[event.step]
        # Steps that travel together are all announced at once: what one took is told with its end.
        span.begin, span.end = max(span.begin, self._now - event.seconds), self._now
        span.state = event.outcome
        if event.outcome in ("failed", "unknown"):
            trouble = Trouble(event.step, event.host, event.name, self._now, event.outcome, event.detail)
            self.session.troubles.append(trouble)

    def _gate_read(self, event: GateRead) -> None:
        span = self._gate(event.step, event.host)
        span.end = self._now
        span.readings += 1
        looks = self._looks.setdefault(event.step, {})
        looks.pop(event.probe, None)
        if not event.ok:
            span.bad.append(self._now)
            looks[event.probe] = event.detail
        elif event.proof and event.proof not in span.proofs:
            span.proofs = (*span.proofs, event.proof)

    def _gate_ended(self, event: GatePassed | GateFailed) -> None:
        span = self._gate(event.step, event.host)
        span.begin, span.end = min(span.begin, max(0.0, self._now - event.seconds)), self._now
        span.state = "done" if isinstance(event, GatePassed) else "failed"
        del self._gates[event.step]
        if isinstance(event, GateFailed):
            looks = self._looks.get(event.step, {})
            trouble = Trouble(event.step, event.host, span.name, self._now, "gate", event.cause, looks)
            self.session.troubles.append(trouble)

    def _gate(self, step: str, host: str) -> Span:
        if step not in self._gates:
            name = step.rpartition("/")[2].removesuffix(UNDO)
            span = Span("gate", host, name, step.partition("/")[0], self._now, self._now)
            self._gates[step] = span
            self.session.spans.append(span)
        return self._gates[step]

    def _undo_started(self, event: UndoStarted) -> None:
        self.session.undo, self.session.undone_from = event, self._now


def _end(session: Session) -> None:
    """What no event ended lasted as long as anything was heard; a gate without a verdict ended with its readings."""
    for span in (*session.stages, *session.spans):
        if span.state == "open" and span.kind != "gate":
            span.end = session.end
    if session.undo:
        ends = [span.end for span in session.spans if span.kind == "undo"]
        state = "failed" if any(trouble.undoing for trouble in session.troubles) else "done"
        end = max(ends, default=session.end)
        session.stages.append(Span("undo", "", "undo", "undo", session.undone_from, end, state))
