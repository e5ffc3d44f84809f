"""An event in words: the lines of a log, each of which can be understood and searched for on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GatePassed,
    GateRead,
    LoadMeasured,
    OutputWritten,
    PlanMade,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepStarted,
    UndoStarted,
    UsersServed,
    Warned,
)
from dojo_deploy.reporters.text import counted, inert, milliseconds, named, seconds, standing_by, typed

NEXT = {
    "tolerated": ("status",),
    "halted": ("resume", "abort", "status"),
    "interrupted": ("resume", "abort", "status"),
    "mixed": ("status", "resume", "abort"),
    "fenced": ("status",),
    "rolled back": ("status",),
    "kept": ("status",),
}
MEANS = {
    "resume": "go on where it stopped",
    "abort": "undo what was done",
    "status": "see what runs where",
}


def sentences(event: Event, *, verbose: bool) -> list[str]:
    """No line when there is nothing to say; output and every reading only when `verbose`, or when a reading is bad."""
    if not verbose and (isinstance(event, (OutputWritten, StepStarted)) or (isinstance(event, GateRead) and event.ok)):
        return []
    said = _SAID.get(type(event))
    return said(event) if said else []


def load_line(load: LoadMeasured) -> str:
    """`0 failed of 18,214 · p50 3 ms · p95 12 ms`."""
    skipped = f" · {load.skipped:,} not made in time" if load.skipped else ""
    times = f" · p50 {milliseconds(load.p50_ms)} · p95 {milliseconds(load.p95_ms)}" if load.requests else ""
    only = f" · only until {seconds(load.seconds)}: {load.cut_short}" if load.cut_short else ""
    return f"{load.failures:,} failed of {load.requests:,}{times}{skipped}{only}"


def page_line(finished: RunFinished) -> str:
    """For how long users saw the maintenance page of a run that took it down again; empty where none was seen."""
    names = list(finished.stage_seconds)
    if finished.exit_code or not {"close", "open"} <= set(names):
        return ""
    shown = names[names.index("close") : names.index("open") + 1]
    return f"users saw it for {seconds(sum(finished.stage_seconds[name] for name in shown))} at most"


def hints(finished: RunFinished) -> tuple[tuple[str, str], ...]:
    """What to type next, and what it is for; nothing after a success."""
    names = NEXT.get(finished.verdict, ()) if finished.exit_code else ()
    return tuple((typed(name, finished.inventory), MEANS[name]) for name in names)


def answers_line(load: LoadMeasured) -> str:
    """`v1 0.0–14.2 s (9,120), v2 9.8–31.0 s (9,094)`."""
    return ", ".join(
        f"{inert(release)} {first:.1f}–{last:.1f} s ({count:,})"
        for release, (first, last, count) in sorted(load.answers.items(), key=lambda item: item[1][0])
    )


def _run_started(event: RunStarted) -> list[str]:
    by = f", by {event.by}" if event.by else ""
    verb = "resumes" if event.resumed else "starts"
    what = f"{event.strategy} {event.release}".rstrip()
    return [f"run {event.run} {verb}: {what} on {event.scope}{by}"]


def _plan_made(event: PlanMade) -> list[str]:
    stages = event.plan.get("stages", ())
    steps = sum(len(lane["steps"]) for stage in stages for lane in stage["lanes"])
    hosts = {lane["host"] for stage in stages for lane in stage["lanes"]}
    size = f"{counted(len(stages), 'stage')}, {counted(steps, 'step')}, {counted(len(hosts), 'host')}"
    return [f"plan {event.hash[:12]}: {size}", *(f"note: {note}" for note in event.plan.get("notes", ()))]


def _step_started(event: StepStarted) -> list[str]:
    return [f"{event.step}: starts"]


def _step_finished(event: StepFinished) -> list[str]:
    head = f"{event.step}: {event.outcome}" + (f" after {seconds(event.seconds)}" if event.seconds else "")
    return [head, *(f"{event.host} │ {line}" for line in _lines(event.detail))]


def _gate_read(event: GateRead) -> list[str]:
    how = "ok" if event.ok else "not ok" if event.counts else "not ok yet"
    proof = f", identified by {event.proof}" if event.proof else ""
    return [f"{event.step}: {event.probe} {how}: {event.detail}{proof}"]


def _gate_failed(event: GateFailed) -> list[str]:
    head = f"{event.step}: THE GATE DID NOT PASS after {seconds(event.seconds)}"
    return [head, *(f"{event.host} │ {line}" for line in _lines(event.cause))]


def _gate_passed(event: GatePassed) -> list[str]:
    proofs = f", identified by {' and '.join(event.proofs)}" if event.proofs else ""
    return [f"{event.step}: gate passed, {counted(event.readings, 'reading')}, {seconds(event.seconds)}{proofs}"]


def served_line(event: UsersServed) -> str:
    """`users have v1 after 0.5 s; still to come: end workers, settle`."""
    return f"users have {event.release} after {seconds(event.seconds)}; still to come: {', '.join(event.left)}"


def _load_measured(event: LoadMeasured) -> list[str]:
    lines = [f"requests: {load_line(event)}"]
    lines += [f"requests: {answers_line(event)}"] if event.answers else []
    lines += [
        f"requests: {count:,} × {kind}" for kind, count in sorted(event.errors.items(), key=lambda item: -item[1])
    ]
    return [*lines, *([f"requests: counted from {event.counted_from}"] if event.counted_from else [])]


def _census_taken(event: CensusTaken) -> list[str]:
    lines = [f"census: {host}: {_pairs(row)}" for host, row in event.rows.items()]
    through = ", ".join(f"{release} {count:,}" for release, count in event.through_balancer.items())
    colour = f" in {event.live}" if event.standby or event.live == "green" else ""
    lines.append(f"census: {event.verdict}{colour}" + (f"; through the balancer {through}" if through else ""))
    return [*lines, *([f"census: {standing_by(event.standby)}"] if event.standby else [])]


def _run_finished(event: RunFinished) -> list[str]:
    times = [f"time: {stage} {seconds(took)}" for stage, took in event.stage_seconds.items()]
    times += [f"page: {told}"] if (told := page_line(event)) else []
    reason = [f"reason: {line}" for line in _lines(event.reason)]
    end = f"run {event.run} ends: {event.verdict}, exit {event.exit_code}, {seconds(event.seconds)}"
    return [*times, *reason, end, *(f"next: {line}: {means}" for line, means in hints(event))]


def _lines(text: str) -> list[str]:
    return text.strip("\n").split("\n") if text.strip() else []


def _pairs(row: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in row.items() if value)


_SAID: Mapping[type[Event], Callable[[Any], list[str]]] = {
    RunStarted: _run_started,
    PlanMade: _plan_made,
    StageStarted: lambda event: [f"stage {event.stage} starts: {named(event.hosts)}"],
    StageFinished: lambda event: [
        f"stage {event.stage} {'ends' if event.ok else 'FAILS'} after {seconds(event.seconds)}"
    ],
    StepStarted: _step_started,
    StepFinished: _step_finished,
    OutputWritten: lambda event: [f"{event.host} │ {event.line}"],
    GateRead: _gate_read,
    GatePassed: _gate_passed,
    GateFailed: _gate_failed,
    UndoStarted: lambda event: [f"UNDO starts: {line}" for line in _lines(event.reason) or [""]],
    Warned: lambda event: [f"WARNING: {line}" for line in _lines(event.text)],
    UsersServed: lambda event: [served_line(event)],
    LoadMeasured: _load_measured,
    CensusTaken: _census_taken,
    RunFinished: _run_finished,
}
