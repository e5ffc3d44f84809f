"""A host job on its way: intents before it leaves, the story of each step as it comes back."""

from __future__ import annotations

from dojo_deploy.engine.hostjob import Began, Ended, Frame, Job, JobStep, Said, StepResult, carry
from dojo_deploy.engine.observe import LOOK_WITHIN, answer, question
from dojo_deploy.engine.run import Run
from dojo_deploy.errors import LostError
from dojo_deploy.events import OutputWritten, StepFinished, StepStarted
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import Layout


def send_job(
    run: Run, host: str, steps: tuple[JobStep, ...], names: dict[str, str], *, close: bool
) -> tuple[StepResult, ...]:
    """Sends one host job and tells its story; returns how each step ended. Intents are durable before it leaves."""
    started: dict[str, float] = {}
    told: set[str] = set()
    looked: list[str] = []
    earlier = {step.id for step in steps if run.progress.began(step.id)}
    clock, site = run.session.clock, run.session.inventory
    look = last_look(site, host)

    def finished(step: str, outcome: str, detail: str = "") -> None:
        told.add(step)
        seconds = clock.monotonic() - started[step] if step in started else 0.0
        run.trail.emit(
            StepFinished(
                step=step, host=host, name=names[step], outcome=outcome, seconds=round(seconds, 3), detail=detail
            )
        )

    def on_frame(frame: Frame) -> None:
        if frame.step == look.id:
            looked.extend([frame.line] if isinstance(frame, Said) else [])
        elif isinstance(frame, Began):
            run.progress.begin(frame.step)
            started[frame.step] = clock.monotonic()
        elif isinstance(frame, Said):
            run.trail.emit(OutputWritten(step=frame.step, host=host, line=frame.line))
        elif isinstance(frame, Ended):
            run.progress.end(frame.step, frame.status)
            if frame.status == 0:
                # One that was heard of only after a reconnect is no other session's.
                finished(frame.step, "replayed" if frame.replayed and frame.step in earlier else "done")

    for step in steps:
        run.trail.emit(StepStarted(step=step.id, host=host, name=names[step.id]))
    if steps:
        run.trail.sync()
    run.progress.reopen(host)
    # Without processes that could still change, the end of the last job is as good a moment as any later one.
    looks = close and not site.app.processes.watched
    job = job_of(run, host, (*steps, look) if looks else steps, close=close)
    artifact = run.artifact if any(step.artifact for step in steps) else None
    try:
        results = carry(
            run.session.shell(host),
            job,
            artifact=artifact,
            on_frame=on_frame,
            clock=clock,
            reach=site.hosts[host].ssh.reach_within,
        )
    except LostError as exc:
        # Sent, and not answered: each step may have run. Its undo asks the host's own record first.
        for step in steps:
            if not run.progress.succeeded(step.id):
                run.progress.begin(step.id)
                finished(step.id, "unknown", exc.message)
        raise
    for result in results:
        if result.step == look.id:
            if result.outcome == "done":
                run.progress.saw(answer(site.hosts[host], "\n".join(looked)))
        elif result.outcome != "not run" and result.step not in told:
            outcome = "unknown" if result.outcome == "interrupted" else result.outcome
            finished(result.step, outcome, result.tail if outcome in ("failed", "unknown") else "")
    if close and all(result.outcome in ("done", "replayed", "skipped") for result in results):
        run.progress.close(host)
    if steps:
        run.trail.sync()
    return results


def last_look(site: Inventory, host: str) -> JobStep:
    """The look at a host with which a run ends there, as a step of the job that closes it."""
    asked = question(site, site.hosts[host], platform=False, room=False)
    return JobStep(f"close/{host}/look", (asked,), LOOK_WITHIN)


def job_step(name: str, step: Step, *, undoes: str = "") -> JobStep:
    assert isinstance(step.action, OnHost)
    action = step.action
    return JobStep(name, action.commands, step.deadline, action.idempotent, action.artifact, undoes)


def job_of(run: Run, host: str, steps: tuple[JobStep, ...], *, close: bool) -> Job:
    site = run.session.inventory
    return Job(
        run=run.id,
        generation=run.lease.generation,
        store_id=run.lease.store_id,
        scope=site.scope,
        layout=Layout(site.hosts[host].root),
        steps=steps,
        close=close,
    )
