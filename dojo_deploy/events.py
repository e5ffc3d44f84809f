"""What happened: frozen, in the past tense, serialisable. Everything that people or files see is made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """`seq` and `at` (UTC, ISO 8601 with milliseconds) are stamped by the emitter.

    `seq` counts without gaps in one session; each resume or abort of the run, wherever it is made, begins at 1 again.
    """

    seq: int = 0
    at: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    run: str
    scope: str
    strategy: str
    release: str
    by: str = ""
    generation: int = 0
    resumed: bool = False
    refs: Mapping[str, str] = field(default_factory=dict)  # release -> branch or tag, of those the record knows


@dataclass(frozen=True, kw_only=True)
class PlanMade(Event):
    """`plan` is Plan.as_dict()."""

    plan: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    stage: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StageFinished(Event):
    stage: str
    seconds: float
    ok: bool = True


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """An intent: written before the effect. `step` is `stage/host/name`; an undo's name ends in `~undo`."""

    step: str
    host: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StepFinished(Event):
    """`outcome`: done, replayed (an earlier session did it), skipped (nothing to undo), failed, unknown."""

    step: str
    host: str
    name: str
    outcome: str
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class OutputWritten(Event):
    step: str
    host: str
    line: str


@dataclass(frozen=True, kw_only=True)
class GateRead(Event):
    step: str
    host: str
    probe: str
    ok: bool
    detail: str
    proof: str = ""
    counts: bool = True  # False within the grace period


@dataclass(frozen=True, kw_only=True)
class GatePassed(Event):
    step: str
    host: str
    seconds: float
    readings: int
    proofs: tuple[str, ...] = ()  # how the release was identified: process, health, upstream


@dataclass(frozen=True, kw_only=True)
class GateFailed(Event):
    """`cause`: last readings, log tail, process state; many lines."""

    step: str
    host: str
    seconds: float
    cause: str


@dataclass(frozen=True, kw_only=True)
class UndoStarted(Event):
    reason: str


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    text: str


@dataclass(frozen=True, kw_only=True)
class UsersServed(Event):
    """Users have what the run is for, `seconds` after it began; `left`: the stages for which they need not wait."""

    release: str
    seconds: float
    left: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LoadMeasured(Event):
    """What users saw during the run, or until `UsersServed`.

    `answers`: release -> [first second, last second, requests]; 0: its start.
    `course` tells it slice by slice: `begin` and `end` in seconds, requests, failures, p50, p95 and p99 in
    milliseconds, and `answers`: release -> requests.
    """

    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    seconds: float
    answers: Mapping[str, tuple[float, float, int]] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    counted_from: str = ""  # what the first counted request waited for, on a first deployment
    skipped: int = 0  # due, but not made: too many were under way
    p99_ms: float = 0.0
    began: str = ""  # second 0, UTC
    course: tuple[Mapping[str, Any], ...] = ()
    cut_short: str = ""  # why the load ended before the run did; empty: it did not


@dataclass(frozen=True, kw_only=True)
class CensusTaken(Event):
    """`rows`: host -> {current, running, health, balancer, verdict}; `verdict`: consistent, partial, mixed, empty."""

    rows: Mapping[str, Mapping[str, str]]
    verdict: str
    through_balancer: Mapping[str, int] = field(default_factory=dict)  # release -> answers of the samples
    live: str = ""  # the slot of the rows
    standby: Mapping[str, str] = field(default_factory=dict)  # what could serve at once: slot, release, until (UTC)


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """`verdict`: done, partial, tolerated, rolled back, kept, aborted, halted, mixed, interrupted, fenced."""

    run: str
    verdict: str
    exit_code: int
    seconds: float
    reason: str = ""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    inventory: str = ""  # as -i takes it; empty for the one that is found without


KINDS: Mapping[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}


def from_dict(data: Mapping[str, Any]) -> Event:
    """The event that `as_dict` wrote; keys of a newer version are ignored. Raises KeyError for an unknown event."""
    kind = KINDS[data["event"]]
    known = {item.name for item in fields(kind)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items() if name in known
    }
    return kind(**values)
