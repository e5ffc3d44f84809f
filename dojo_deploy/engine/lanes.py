"""One lane: its steps in order, consecutive host-side ones as one host job, each gate where it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dojo_deploy.engine.hostjob import Began, Ended, Frame, Job, JobStep, Said, StepResult, carry
from dojo_deploy.engine.lease import Lease
from dojo_deploy.engine.progress import Progress, is_on_host
from dojo_deploy.errors import DojoError, FencedError, GateFailedError, InterruptedRunError, LostError
from dojo_deploy.events import Event, GateFailed, GatePassed, OutputWritten, StepFinished, StepStarted
from dojo_deploy.gates import hold
from dojo_deploy.interfaces import Session
from dojo_deploy.plan import Lane, OnHost, Plan, Stage, Step, step_id
from dojo_deploy.release import Layout


class Trail(Protocol):
    """The run's write-ahead side: what must be on disk, or in the store, before an effect."""

    def emit(self, event: Event) -> None: ...
    def sync(self) -> None: ...
    def note(self, kind: str, **data: object) -> None: ...


@dataclass(frozen=True)
class Run:
    """What all lanes of one run share."""

    id: str
    plan: Plan
    session: Session
    bound: Callable[[Callable[[str], None]], Session]  # the session, with `say` bound to a step
    lease: Lease
    trail: Trail
    progress: Progress
    stopping: threading.Event  # a lane failed: the others end the step they are in
    artifact: Path | None = None


@dataclass(frozen=True)
class LaneResult:
    """How a lane ended: `step` is the one that did not."""

    host: str
    outcome: str = "done"  # done, failed, unknown, stopped, interrupted, fenced
    step: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome == "done"


def run_lane(run: Run, stage: Stage, lane: Lane, *, closing: bool) -> LaneResult:
    """Carries the lane out. `closing`: its last host job also tells the host that the run has ended there."""
    reached = run.progress.reached(stage, lane)
    groups = list(chunks(lane))
    # Its gate may still fail: undoing opens the run on the host again, and until the end the store says that it is open.
    last_job = max((number for number, group in enumerate(groups) if is_on_host(group[-1])), default=-1)
    position = 0
    for number, group in enumerate(groups):
        last = group[-1]
        end = position + len(group) - 1
        name = step_id(stage, lane, last)
        try:
            _may_go_on(run)
            if end < reached and all(run.progress.succeeded(step_id(stage, lane, step)) for step in group):
                position = end + 1
                continue
            if is_on_host(last):
                _run_job(run, stage, lane, group, close=closing and number == last_job)
            elif not isinstance(last.action, OnHost):
                _run_action(run, stage, lane, last)
            if last.gate and end >= reached:
                _hold(run, name, lane.host, last)
        except _Stopped:
            return LaneResult(lane.host, "stopped")
        except InterruptedRunError:
            return LaneResult(lane.host, "interrupted", name)
        except FencedError as exc:
            return LaneResult(lane.host, "fenced", name, exc.message)
        except LostError as exc:
            return LaneResult(lane.host, "unknown", name, exc.message)
        except _StepFailed as exc:
            return LaneResult(lane.host, exc.outcome, exc.step, exc.detail)
        except DojoError as exc:
            return LaneResult(lane.host, "failed", name, str(exc))
        position = end + 1
    return LaneResult(lane.host)


def chunks(lane: Lane) -> Iterator[tuple[Step, ...]]:
    """The lane's steps in groups: a group of host-side steps ends at a gate or where the controller has to act."""
    group: list[Step] = []
    for step in lane.steps:
        if not is_on_host(step):
            if group:
                yield tuple(group)
            yield (step,)
            group = []
            continue
        group.append(step)
        if step.gate:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def send_job(
    run: Run, host: str, steps: tuple[JobStep, ...], names: dict[str, str], *, close: bool
) -> tuple[StepResult, ...]:
    """Sends one host job and tells its story; returns how each step ended. Intents are durable before it leaves."""
    started: dict[str, float] = {}
    told: set[str] = set()
    clock = run.session.clock

    def finished(step: str, outcome: str, detail: str = "") -> None:
        told.add(step)
        seconds = clock.monotonic() - started[step] if step in started else 0.0
        run.trail.emit(
            StepFinished(
                step=step, host=host, name=names[step], outcome=outcome, seconds=round(seconds, 3), detail=detail
            )
        )

    def on_frame(frame: Frame) -> None:
        if isinstance(frame, Began):
            run.progress.begin(frame.step)
            started[frame.step] = clock.monotonic()
        elif isinstance(frame, Said):
            run.trail.emit(OutputWritten(step=frame.step, host=host, line=frame.line))
        elif isinstance(frame, Ended):
            run.progress.end(frame.step, frame.status)
            if frame.status == 0:
                finished(frame.step, "replayed" if frame.replayed else "done")

    for step in steps:
        run.trail.emit(StepStarted(step=step.id, host=host, name=names[step.id]))
    if steps:
        run.trail.sync()
    run.progress.reopen(host)
    job = Job(
        run=run.id,
        generation=run.lease.generation,
        store_id=run.lease.store_id,
        scope=run.session.inventory.scope,
        layout=Layout(run.session.inventory.hosts[host].root),
        steps=steps,
        close=close,
    )
    artifact = run.artifact if any(step.artifact for step in steps) else None
    results = carry(run.session.shell(host), job, artifact=artifact, on_frame=on_frame, clock=clock)
    for result in results:
        if result.outcome != "not run" and result.step not in told:
            outcome = "unknown" if result.outcome == "interrupted" else result.outcome
            finished(result.step, outcome, result.tail if outcome in ("failed", "unknown") else "")
    if close and all(result.outcome in ("done", "replayed", "skipped") for result in results):
        run.progress.close(host)
    if steps:
        run.trail.sync()
    return results


class _Stopped(Exception):
    """Another lane failed; nothing more is started here."""


class _StepFailed(Exception):
    def __init__(self, step: str, outcome: str, detail: str) -> None:
        super().__init__(detail)
        self.step, self.outcome, self.detail = step, outcome, detail


def _may_go_on(run: Run) -> None:
    if run.session.cancelled.is_set():
        raise InterruptedRunError("stopped by a signal")
    if run.stopping.is_set():
        raise _Stopped
    run.lease.check()


def _run_job(run: Run, stage: Stage, lane: Lane, group: tuple[Step, ...], *, close: bool) -> None:
    steps = tuple(job_step(step_id(stage, lane, step), step) for step in group)
    names = {job.id: step.name for job, step in zip(steps, group, strict=True)}
    for result in send_job(run, lane.host, steps, names, close=close):
        if result.outcome == "failed":
            raise _StepFailed(result.step, "failed", _why(result))
        if result.outcome == "interrupted":
            raise _StepFailed(
                result.step, "unknown", "it began, never ended, and must not run twice: look at the host, then abort"
            )


def job_step(name: str, step: Step, *, undoes: str = "") -> JobStep:
    assert isinstance(step.action, OnHost)
    action = step.action
    return JobStep(name, action.commands, step.deadline, action.idempotent, action.artifact, undoes)


def _why(result: StepResult) -> str:
    said = f"\n{result.tail}" if result.tail else ""
    return f"exit status {result.status}{said}"


def _run_action(run: Run, stage: Stage, lane: Lane, step: Step) -> None:
    name = step_id(stage, lane, step)
    if run.progress.began(name) and not getattr(step.action, "idempotent", True):
        if run.progress.succeeded(name):
            run.trail.emit(StepFinished(step=name, host=lane.host, name=step.name, outcome="replayed"))
            return
        raise _StepFailed(name, "unknown", "it began in an earlier session, never ended, and must not run twice")
    act(run, lane.host, name, step)


def act(run: Run, host: str, name: str, step: Step) -> None:
    """Runs one controller-side action between its intent and its outcome, both durable in the journal and the store."""
    assert not isinstance(step.action, OnHost)
    clock = run.session.clock
    run.trail.emit(StepStarted(step=name, host=host, name=step.name))
    run.trail.sync()
    run.trail.note("intent", step=name)
    run.progress.begin(name)
    started = clock.monotonic()

    def finished(outcome: str, detail: str = "") -> None:
        seconds = round(clock.monotonic() - started, 3)
        run.trail.emit(
            StepFinished(step=name, host=host, name=step.name, outcome=outcome, seconds=seconds, detail=detail)
        )
        run.trail.sync()

    try:
        step.action.run(run.bound(lambda line: run.trail.emit(OutputWritten(step=name, host=host, line=line))))
    except DojoError as exc:
        finished("unknown" if isinstance(exc, LostError) else "failed", str(exc))
        raise
    run.trail.note("outcome", step=name)
    run.progress.end(name, 0)
    finished("done")


def _hold(run: Run, name: str, host: str, step: Step) -> None:
    assert step.gate
    started = run.session.clock.monotonic()
    try:
        passed = hold(step.gate, run.session, emit=run.trail.emit, step=name)
    except GateFailedError as exc:
        seconds = round(run.session.clock.monotonic() - started, 3)
        run.trail.emit(GateFailed(step=name, host=host, seconds=seconds, cause=exc.cause))
        raise _StepFailed(name, "failed", exc.message) from exc
    run.trail.emit(GatePassed(step=name, host=host, seconds=round(passed.seconds, 3), readings=passed.readings))


def hold_gate(run: Run, name: str, host: str, step: Step) -> None:
    """The gate of an undo: a DojoError when it does not pass."""
    try:
        _hold(run, name, host, step)
    except _StepFailed as exc:
        raise DojoError(exc.detail) from exc
