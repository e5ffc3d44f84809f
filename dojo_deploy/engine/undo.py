"""Undoing: every step that began, last first, lane by lane, down to a point of no return."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from dojo_deploy.engine.effects import act, pass_gate
from dojo_deploy.engine.jobs import job_step, send_job
from dojo_deploy.engine.progress import is_on_host, undo_id
from dojo_deploy.engine.run import Run
from dojo_deploy.errors import DojoError, FencedError, InterruptedRunError, LostError, TransportError, UnreachableError
from dojo_deploy.events import StepFinished, Warned
from dojo_deploy.plan import CONTROLLER, Lane, OnHost, Stage, Step, step_id


@dataclass(frozen=True)
class Undone:
    """`broken`: host -> why it could not be brought back; it stays out of traffic. `kept`: why undoing stopped."""

    broken: dict[str, str]
    kept: str = ""


def undo(run: Run, executor: Executor) -> Undone:
    """Undoes the run so far. A host whose undo fails, that cannot be asked, or whose step has no way back, stays as it
    is from there on.

    Raises FencedError, InterruptedRunError: what is left to undo is another session's.
    """
    broken: dict[str, str] = {}
    stopped: DojoError | None = None
    held: set[str] = set()
    for stage in _first(run.plan.stages):
        left = {lane.host for lane in stage.lanes if _has_no_way_back(run, stage, lane)}
        if stage.undone_first and left:
            return Undone(broken)
        held |= left
        lanes = [lane for lane in stage.lanes if _began(run, stage, lane) and lane.host not in {*broken, *held}]
        futures = {lane.host: executor.submit(undo_lane, run, stage, lane) for lane in lanes}
        for host, future in futures.items():
            try:
                future.result()
            except (FencedError, InterruptedRunError) as exc:
                stopped = exc
            except DojoError as exc:
                broken[host] = str(exc)
                run.trail.emit(Warned(text=f"{host} could not be undone and stays as it is: {exc}"))
        if stopped:
            raise stopped
        if stage.undone_first and broken:
            return Undone(broken)
        for lane in stage.lanes:
            for step in lane.steps:
                if step.point_of_no_return and run.progress.began(step_id(stage, lane, step)):
                    kept = step.keeps or f"{step.name} has no way back; everything after it was undone"
                    return Undone(broken, kept=kept)
    return Undone(broken)


def undo_lane(run: Run, stage: Stage, lane: Lane, *, stay_out: bool = False) -> None:
    """Undoes one lane. `stay_out`: all but what would bring requests back. Raises a DojoError at the first failure.

    A host that may still be at work, or would get requests again, is asked first: who does not answer is left alone.
    """
    if any(is_on_host(step) and run.progress.is_unknown(step_id(stage, lane, step)) for step in lane.steps):
        _reach(run, lane.host)
    for group in _groups(run, stage, lane, stay_out=stay_out):
        if run.session.cancelled.is_set():
            raise InterruptedRunError("stopped by a signal")
        run.lease.check()
        name, last = group[-1]
        assert last.undo
        if last.undo.brings_traffic:
            _hail(run, lane.host)
            _gate(run, name, lane.host, last.undo)
        if is_on_host(last.undo):
            jobs = tuple(
                job_step(undo_id(step_name), step.undo, undoes=step_name) for step_name, step in group if step.undo
            )
            names = {undo_id(step_name): step.undo.name for step_name, step in group if step.undo}
            for result in send_job(run, lane.host, jobs, names, close=False).results:
                if result.outcome in ("failed", "interrupted"):
                    raise DojoError(f"{result.step}: {result.tail or result.outcome}")
                if result.step == undo_id(name) and result.outcome == "skipped":
                    break
            else:
                _gate(run, name, lane.host, last.undo)
        else:
            act(run, lane.host, undo_id(name), last.undo)
            if not last.undo.brings_traffic:
                _gate(run, name, lane.host, last.undo)


def leave_out(run: Run, stage: Stage, lane: Lane) -> None:
    """Undoes one lane and sees to it that its host gets no requests, also when it failed before it was drained.

    One without a way back only gets no requests.

    A host that cannot be asked is lost: what it runs is not known, but it gets no requests. Raises as `undo_lane`, also
    where nothing could keep requests away from a lost host.
    """
    lost: TransportError | None = None
    try:
        if _has_no_way_back(run, stage, lane):
            _stop_traffic(run, stage, lane)
        else:
            undo_lane(run, stage, lane, stay_out=True)
    except (UnreachableError, LostError) as exc:
        if not any(_is_traffic(step) for step in lane.steps):
            raise
        lost = exc
        _stop_traffic(run, stage, lane)
    for step in lane.steps:
        name = step_id(stage, lane, step)
        if step.undo and step.undo.brings_traffic and not run.progress.succeeded(name):
            act(run, lane.host, name, step)
    if lost:
        run.progress.lose(lane.host, str(lost))
    else:
        run.progress.find(lane.host)


def _stop_traffic(run: Run, stage: Stage, lane: Lane) -> None:
    """Undoes what the controller itself did to bring requests to the host."""
    for step in reversed(lane.steps):
        name = step_id(stage, lane, step)
        if not step.undo or not _is_traffic(step) or step.undo.brings_traffic:
            continue
        if run.progress.began(name) and not run.progress.succeeded(undo_id(name)):
            act(run, lane.host, undo_id(name), step.undo)


def _is_traffic(step: Step) -> bool:
    return step.undo is not None and not isinstance(step.undo.action, OnHost)


def _first(stages: tuple[Stage, ...]) -> Iterator[Stage]:
    """Last first, but before all others those that users are better off without at once."""
    backwards = stages[::-1]
    yield from (stage for stage in backwards if stage.undone_first)
    yield from (stage for stage in backwards if not stage.undone_first)


def _began(run: Run, stage: Stage, lane: Lane) -> bool:
    return any(run.progress.began(step_id(stage, lane, step)) for step in lane.steps)


def _has_no_way_back(run: Run, stage: Stage, lane: Lane) -> bool:
    return any(step.no_way_back and run.progress.began(step_id(stage, lane, step)) for step in lane.steps)


def _groups(run: Run, stage: Stage, lane: Lane, *, stay_out: bool) -> Iterator[tuple[tuple[str, Step], ...]]:
    """Started steps with an undo, backwards; consecutive ones on the host in one group, which ends at a gate."""
    group: list[tuple[str, Step]] = []
    for step in reversed(lane.steps):
        name = step_id(stage, lane, step)
        if step.point_of_no_return and run.progress.began(name):
            break
        if not run.progress.began(name) or step.undo is None or (stay_out and step.undo.brings_traffic):
            continue
        if run.progress.succeeded(undo_id(name)) and step.undo.gate is None:
            run.trail.emit(StepFinished(step=undo_id(name), host=lane.host, name=step.undo.name, outcome="replayed"))
            continue
        if not is_on_host(step.undo):
            if group:
                yield tuple(group)
            yield ((name, step),)
            group = []
            continue
        group.append((name, step))
        if step.undo.gate:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _reach(run: Run, host: str) -> None:
    """Waits for whatever of this run still goes on there. Raises TransportError for a host that cannot be asked."""
    if host != CONTROLLER:
        send_job(run, host, (), {}, close=False)


def _hail(run: Run, host: str) -> None:
    """Raises TransportError for a host that does not answer; one that has no room for a job does."""
    try:
        _reach(run, host)
    except (LostError, UnreachableError):
        raise
    except TransportError:
        return


def _gate(run: Run, name: str, host: str, step: Step) -> None:
    if step.gate:
        pass_gate(run, undo_id(name), host, step)
