"""A host job on its way: intents before it leaves, the story of each step as it comes back.

What the controller would ask the host right after the job travels with it, as questions behind the steps: the first
readings of the gate, and the look with which a run ends on a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.engine.hostjob import Began, Ended, Frame, Job, JobStep, Said, StepResult, carry
from dojo_deploy.engine.observe import LOOK_WITHIN, answer, question
from dojo_deploy.engine.run import Run
from dojo_deploy.errors import LostError
from dojo_deploy.events import OutputWritten, StepFinished, StepStarted
from dojo_deploy.gates import PROBE_WITHIN, HostProbe
from dojo_deploy.interfaces import Completed, Reading
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, OnHost, Step
from dojo_deploy.release import Layout

ASK_WITHIN = PROBE_WITHIN + 5.0  # until a probe's question has ended by itself


@dataclass(frozen=True)
class Sent:
    """How each step ended, and by probe what the gate behind the last one can count as its first readings."""

    results: tuple[StepResult, ...]
    readings: Mapping[str, Reading]


def send_job(
    run: Run, host: str, steps: tuple[JobStep, ...], names: dict[str, str], *, close: bool, gate: Gate | None = None
) -> Sent:
    """Sends one host job and tells its story. Intents are durable before it leaves."""
    started: dict[str, float] = {}
    told: set[str] = set()
    earlier = {step.id for step in steps if run.progress.began(step.id)}
    clock, site = run.session.clock, run.session.inventory
    look = last_look(site, host)
    probes = _probes(run, host, gate)
    asked = {**{step.id: step for step in probes.values()}, look.id: look}
    answers: dict[str, list[str]] = {name: [] for name in asked}

    def finished(step: str, outcome: str, detail: str = "") -> None:
        told.add(step)
        seconds = clock.monotonic() - started[step] if step in started else 0.0
        run.trail.emit(
            StepFinished(
                step=step, host=host, name=names[step], outcome=outcome, seconds=round(seconds, 3), detail=detail
            )
        )

    def on_frame(frame: Frame) -> None:
        if frame.step in asked:
            answers[frame.step].extend([frame.line] if isinstance(frame, Said) else [])
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
    questions = (*probes.values(), *((look,) if looks else ()))
    job = job_of(run, host, (*steps, *questions), close=close)
    artifact = run.artifact if any(step.artifact for step in steps) else None
    try:
        ended = carry(
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
    results = tuple(result for result in ended if result.step not in asked)
    said = {
        result.step: Completed(result.status, "\n".join(answers[result.step]).encode())
        for result in ended
        if result.step in asked and result.status is not None
    }
    if look.id in said and said[look.id].ok:
        run.progress.saw(answer(site.hosts[host], said[look.id].text))
    for result in results:
        if result.outcome != "not run" and result.step not in told:
            outcome = "unknown" if result.outcome == "interrupted" else result.outcome
            finished(result.step, outcome, result.tail if outcome in ("failed", "unknown") else "")
    if close and all(result.outcome in ("done", "replayed", "skipped") for result in results):
        run.progress.close(host)
    if steps:
        run.trail.sync()
    return Sent(results, {name: _judged(run, name, said[step.id]) for name, step in probes.items() if step.id in said})


def last_look(site: Inventory, host: str) -> JobStep:
    """The look at a host with which a run ends there, as a step of the job that closes it."""
    asked = question(site, site.hosts[host], platform=False, room=False, running=bool(site.app.processes.watched))
    return JobStep(f"close/{host}/look", (asked,), LOOK_WITHIN, ask=True)


def _probes(run: Run, host: str, gate: Gate | None) -> dict[str, JobStep]:
    """Those of the gate's questions that the host can be asked in the job itself, by probe."""
    target = gate.target if gate else None
    if gate is None or target is None or target.host != host:
        return {}
    found = {name: run.session.inventory.probes.get(name) for name in gate.probes}
    return {
        name: JobStep(
            f"gate/{host}/{name}", (probe.question(run.session, target, within=PROBE_WITHIN),), ASK_WITHIN, ask=True
        )
        for name, probe in found.items()
        if isinstance(probe, HostProbe)
    }


def _judged(run: Run, name: str, done: Completed) -> Reading:
    probe = run.session.inventory.probes[name]
    assert isinstance(probe, HostProbe)
    return probe.judge(done, within=PROBE_WITHIN)


def job_step(name: str, step: Step, *, undoes: str = "") -> JobStep:
    assert isinstance(step.action, OnHost)
    action = step.action
    return JobStep(
        name, action.commands, step.deadline, action.idempotent, action.artifact, undoes, guarded=action.guarded
    )


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
