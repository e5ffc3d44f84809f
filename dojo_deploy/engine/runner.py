"""Carries a plan out: the only thing that runs steps. Writes intent before effect, undoes what failed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field

from dojo_deploy.engine.lanes import LaneResult, run_lane
from dojo_deploy.engine.progress import is_on_host
from dojo_deploy.engine.run import Run
from dojo_deploy.engine.undo import leave_out, undo
from dojo_deploy.errors import DojoError, FencedError, InterruptedRunError
from dojo_deploy.events import StageFinished, StageStarted, UndoStarted, UsersServed, Warned
from dojo_deploy.plan import CONTROLLER, Lane, Stage

SIGNALLED = "stopped by a signal"
ENDING = ("fenced", "interrupted")  # outcomes that end a run in any stage


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `verdict`: done, tolerated, rolled back, kept, halted, mixed, interrupted, fenced."""

    verdict: str
    reason: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Nothing is left to resume or to abort."""
        return self.verdict in ("done", "tolerated", "rolled back", "kept")


def carry_out(
    run: Run, executor: Executor, *, undoing: str = "", on_served: Callable[[], object] = lambda: None
) -> Outcome:
    """Runs the plan to its end, or undoes it. `undoing`: an earlier session, or the operator, has decided to undo.

    `on_served` is called when only stages are left that are `apart`, before that is told.
    """
    seconds: dict[str, float] = {}
    started = run.session.clock.monotonic()
    if undoing:
        return _undo(run, executor, undoing, seconds)
    skip = run.progress.furthest(run.plan)
    try:
        _finish_tolerated(run)
    except InterruptedRunError:
        return Outcome("interrupted", SIGNALLED, {}, seconds)
    except FencedError as exc:
        return Outcome("fenced", exc.message, {}, seconds)
    except DojoError as exc:
        return _undo(run, executor, f"a host within max_failures could not be undone: {exc}", seconds)
    closing = _last_stages(run.plan.stages)
    told: list[str] = []
    for number, stage in enumerate(run.plan.stages):
        if number < skip:
            continue
        # One that a signal has stopped is served as well, but nothing goes on by itself.
        goes_on = stage.apart and not run.session.cancelled.is_set()
        if goes_on and not (number > skip and run.plan.stages[number - 1].apart):
            with contextlib.suppress(OSError):  # figures that cannot be read
                on_served()
            took = round(run.session.clock.monotonic() - started, 3)
            left = tuple(one.name for one in run.plan.stages[number:])
            run.trail.emit(UsersServed(release=run.plan.release.id, seconds=took, left=left))
        failed = _run_stage(run, stage, executor, closing, seconds)
        if not stage.decides:
            told += [_reason(result) for result in failed if result.outcome not in ENDING]
            failed = [result for result in failed if result.outcome in ENDING]
        if failed:
            return _after_failure(run, executor, stage, failed, seconds)
    if run.progress.tolerated:
        _call_hooks(run, executor, *_phases_of_tolerated(run))
        told.insert(0, _left_out(run))
    return Outcome("tolerated" if run.progress.tolerated else "done", "\n".join(told), run.progress.lost, seconds)


def _finish_tolerated(run: Run) -> None:
    """An earlier session may have ended between deciding to leave a host out and undoing it."""
    for stage in run.plan.stages:
        for lane in stage.lanes:
            if stage.tolerant and lane.host in run.progress.tolerated:
                leave_out(run, stage, lane)


def _run_stage(
    run: Run, stage: Stage, executor: Executor, closing: dict[str, str], seconds: dict[str, float]
) -> list[LaneResult]:
    """The failures that end the run; empty when it goes on."""
    clock = run.session.clock
    started = clock.monotonic()
    lanes = [lane for lane in stage.lanes if lane.host not in run.progress.tolerated]
    run.trail.emit(StageStarted(stage=stage.name, hosts=tuple(lane.host for lane in lanes)))
    futures = [executor.submit(_lane, run, stage, lane, closing.get(lane.host) == stage.name) for lane in lanes]
    try:
        results = [future.result() for future in futures]
    except BaseException:
        # Nothing of ours may go on after the lock was given back.
        run.stopping.set()
        wait(futures)
        raise
    failed = [result for result in results if not result.ok]
    within_budget = len(run.progress.tolerated) + len(failed) <= run.plan.max_failures
    left = ("failed", "unknown")
    if stage.tolerant and failed and within_budget and all(result.outcome in left for result in failed):
        failed = _tolerate(run, stage, failed, executor)
    if not stage.decides:
        for result in failed:
            run.trail.emit(Warned(text=f"all gates had passed, so this undoes nothing: {_reason(result)}"))
    seconds[stage.name] = round(clock.monotonic() - started, 3)
    run.trail.emit(StageFinished(stage=stage.name, seconds=seconds[stage.name], ok=not failed))
    return failed


def _lane(run: Run, stage: Stage, lane: Lane, closing: bool) -> LaneResult:
    result = run_lane(run, stage, lane, closing=closing)
    budget = run.plan.max_failures - len(run.progress.tolerated)
    if not result.ok and stage.decides and not (stage.tolerant and budget > 0):
        run.stopping.set()
    return result


def _tolerate(run: Run, stage: Stage, failed: list[LaneResult], executor: Executor) -> list[LaneResult]:
    """Undoes the failed lanes and leaves their hosts drained; those that cannot even be undone end the run."""
    lanes = {lane.host: lane for lane in stage.lanes}
    futures = {}
    for result in failed:
        run.trail.note("tolerated", host=result.host, reason=result.detail)
        run.progress.tolerate(result.host)
        run.trail.emit(Warned(text=f"{result.host} failed within max_failures and is left out: {result.step}"))
        futures[result.host] = executor.submit(leave_out, run, stage, lanes[result.host])
    worse = []
    for result in failed:
        try:
            futures[result.host].result()
        except FencedError as exc:
            worse.append(LaneResult(result.host, "fenced", result.step, exc.message))
        except InterruptedRunError:
            worse.append(LaneResult(result.host, "interrupted", result.step))
        except DojoError as exc:
            worse.append(LaneResult(result.host, "failed", result.step, f"{result.detail}; undoing it: {exc}"))
    return worse


def _after_failure(
    run: Run, executor: Executor, stage: Stage, failed: list[LaneResult], seconds: dict[str, float]
) -> Outcome:
    first = next((result for result in failed if result.outcome not in ("stopped", "interrupted")), failed[0])
    reason = _reason(first)
    fenced = next((result for result in failed if result.outcome == "fenced"), None)
    if fenced:
        return Outcome("fenced", fenced.detail, {}, seconds)
    only_stopped = all(result.outcome in ("interrupted", "stopped") for result in failed)
    if run.session.cancelled.is_set() and (run.plan.on_interrupt != "rollback" or stage.apart):
        # What failed meanwhile fails again when the run is resumed, and is undone then.
        return Outcome("interrupted", SIGNALLED if only_stopped else f"{SIGNALLED}; {reason}", {}, seconds)
    run.session.cancelled.clear()
    if only_stopped:
        reason = SIGNALLED
    else:
        run.progress.fail_in(stage.phase)
        if run.plan.on_failure == "halt" or stage.apart:
            _call_hooks(run, executor, stage.phase)
            return Outcome("halted", reason, {}, seconds)
    return _undo(run, executor, reason, seconds)


def _reason(result: LaneResult) -> str:
    whole = result.detail if result.detail.startswith(result.step) else f"{result.step}: {result.detail}"
    return whole.strip(": ")


def _undo(run: Run, executor: Executor, reason: str, seconds: dict[str, float]) -> Outcome:
    clock = run.session.clock
    started = clock.monotonic()
    run.trail.emit(UndoStarted(reason=reason))
    run.trail.sync()
    run.trail.note("undo", reason=reason, phase=run.progress.failed_in)
    run.stopping.clear()
    try:
        undone = undo(run, executor)
    except InterruptedRunError:
        return Outcome("interrupted", f"{SIGNALLED} while it was undone: {reason}", {}, seconds)
    except FencedError as exc:
        return Outcome("fenced", exc.message, {}, seconds)
    _call_hooks(run, executor, run.progress.failed_in)
    seconds["undo"] = round(clock.monotonic() - started, 3)
    if run.plan.contract and run.progress.has_migrated(run.plan):
        reason = f"{reason}\n{run.plan.contract}"
        return Outcome("mixed" if undone.broken else "kept", reason, undone.broken, seconds)
    if undone.kept:
        reason = f"{reason}\n(kept: {undone.kept})"
    if undone.broken:
        return Outcome("mixed", reason, undone.broken, seconds)
    return Outcome("rolled back", reason, {}, seconds)


def _call_hooks(run: Run, executor: Executor, *phases: str) -> None:
    """The `on_failure` hooks of the whole run and of `phases`; those that fail are told."""
    run.stopping.clear()
    for stage in run.plan.after_failure:
        if stage.phase not in ("run", *phases):
            continue
        lanes = [lane for lane in stage.lanes if lane.host not in run.progress.lost]
        for future in [executor.submit(run_lane, run, stage, lane, closing=False) for lane in lanes]:
            result = future.result()
            if not result.ok:
                run.trail.emit(Warned(text=f"hook {result.step or stage.name}: {result.outcome} {result.detail}"))


def _left_out(run: Run) -> str:
    lost = run.progress.lost
    undone = ", ".join(sorted(run.progress.tolerated - set(lost)))
    return "; ".join(
        [
            *([f"{undone} failed, undone and left out of the balancer"] if undone else []),
            *(f"{host} was lost and is left out of the balancer: what it runs is not known" for host in sorted(lost)),
        ]
    )


def _phases_of_tolerated(run: Run) -> set[str]:
    hosts = run.progress.tolerated
    return {stage.phase for stage in run.plan.stages if stage.tolerant and hosts & {lane.host for lane in stage.lanes}}


def _last_stages(stages: tuple[Stage, ...]) -> dict[str, str]:
    """Host -> the last stage in which anything runs on it: its last job there can close the run on the host."""
    return {
        lane.host: stage.name
        for stage in stages
        for lane in stage.lanes
        if lane.host != CONTROLLER and any(is_on_host(step) for step in lane.steps)
    }
