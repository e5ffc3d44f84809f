"""One lane: its steps in order, consecutive host-side ones as one host job, each gate where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dojo_deploy.engine.effects import act, pass_gate
from dojo_deploy.engine.hostjob import StepResult
from dojo_deploy.engine.jobs import job_step, send_job
from dojo_deploy.engine.progress import is_on_host
from dojo_deploy.engine.run import Run
from dojo_deploy.errors import DojoError, FencedError, GateFailedError, InterruptedRunError, LostError
from dojo_deploy.events import StepFinished
from dojo_deploy.interfaces import Reading
from dojo_deploy.plan import Lane, OnHost, Stage, Step, step_id


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
    # Its gate may still fail: undoing opens the run on the host again; until the end the store says that it is open.
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
            readings: Mapping[str, Reading] = {}
            if is_on_host(last):
                readings = _run_job(run, stage, lane, group, close=closing and number == last_job)
            elif not isinstance(last.action, OnHost):
                _run_action(run, stage, lane, last)
            if last.gate and end >= reached:
                pass_gate(run, name, lane.host, last, first=readings)
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
        except GateFailedError as exc:
            return LaneResult(lane.host, "failed", name, exc.message)
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


def _run_job(run: Run, stage: Stage, lane: Lane, group: tuple[Step, ...], *, close: bool) -> Mapping[str, Reading]:
    """The first readings of the gate behind the group."""
    steps = tuple(job_step(step_id(stage, lane, step), step) for step in group)
    names = {job.id: step.name for job, step in zip(steps, group, strict=True)}
    explains = {job.id: step.explains for job, step in zip(steps, group, strict=True)}
    sent = send_job(run, lane.host, steps, names, close=close, gate=group[-1].gate)
    for result in sent.results:
        if result.outcome == "failed":
            raise _StepFailed(result.step, "failed", _why(result, explains[result.step]))
        if result.outcome == "interrupted":
            raise _StepFailed(result.step, "unknown", "it began, never ended, and must not run twice: look at the host")
    return sent.readings


def _why(result: StepResult, explains: tuple[tuple[str, str], ...]) -> str:
    said = f"\n{result.tail}" if result.tail else ""
    told = next((explained(match, text) for sign, text in explains if (match := re.search(sign, result.tail))), "")
    return f"exit status {result.status}{f': {told}' if told else ''}{said}"


def explained(match: re.Match[str], text: str) -> str:
    """`text` with the match's groups in it."""
    for name, value in match.groupdict().items():
        text = text.replace(f"{{{name}}}", value or f"<{name}>")
    return text


def _run_action(run: Run, stage: Stage, lane: Lane, step: Step) -> None:
    name = step_id(stage, lane, step)
    if run.progress.began(name) and not getattr(step.action, "idempotent", True):
        if run.progress.succeeded(name):
            run.trail.emit(StepFinished(step=name, host=lane.host, name=step.name, outcome="replayed"))
            return
        raise _StepFailed(name, "unknown", "it began in an earlier session, never ended, and must not run twice")
    act(run, lane.host, name, step)
