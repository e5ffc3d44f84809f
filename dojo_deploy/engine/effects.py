"""What the controller does itself: a step's action between intent and outcome, and the gate after it."""

from __future__ import annotations

from collections.abc import Mapping

from dojo_deploy.engine.run import Run
from dojo_deploy.errors import DojoError, GateFailedError, LostError
from dojo_deploy.events import GateFailed, GatePassed, OutputWritten, StepFinished, StepStarted
from dojo_deploy.gates import hold
from dojo_deploy.interfaces import Reading
from dojo_deploy.plan import OnHost, Step


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


def pass_gate(run: Run, name: str, host: str, step: Step, *, first: Mapping[str, Reading] | None = None) -> None:
    """Holds the step at its gate, whose `first` readings may be there, and tells of it. Raises GateFailedError."""
    assert step.gate
    started = run.session.clock.monotonic()
    try:
        passed = hold(step.gate, run.session, emit=run.trail.emit, step=name, first=first)
    except GateFailedError as exc:
        seconds = round(run.session.clock.monotonic() - started, 3)
        run.trail.emit(GateFailed(step=name, host=host, seconds=seconds, cause=exc.cause))
        raise
    run.trail.emit(
        GatePassed(
            step=name,
            host=host,
            seconds=round(passed.seconds, 3),
            readings=passed.readings,
            proofs=passed.proofs,
        )
    )
