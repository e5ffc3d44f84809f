"""What a run leaves in the record of releases."""

from __future__ import annotations

from dataclasses import replace

from dojo_deploy.clock import utc
from dojo_deploy.engine import ledger
from dojo_deploy.engine.partial import NO_RELEASE
from dojo_deploy.engine.run import Run
from dojo_deploy.engine.runner import SIGNALLED
from dojo_deploy.release import Observed, Release, Standby
from dojo_deploy.secrets import Redactor

ABORTED = "aborted by the operator"
NOBODYS_FAULT = (ABORTED, SIGNALLED)  # reasons that say nothing against the release


def _left(run: Run) -> tuple[str, ...]:
    return (run.plan.standby.release,) if run.plan.standby else ()


def left_standing(run: Run, verdict: str, seen: Observed) -> Standby | None:
    """What could serve at once, now that the run has ended."""
    plan = run.plan
    if verdict in ("done", "kept") and (plan.retires or plan.standby):
        return plan.standby and replace(plan.standby, until=utc(run.session.clock.now() + plan.keep_for))
    return seen.standby


def _serves(run: Run) -> bool:
    """The traffic has gone to the new colour, and stays there."""
    return any(step.no_way_back and run.progress.succeeded(name) for name, _, _, step in run.plan.steps())


def remember(
    run: Run, verdict: str, reason: str, seen: Observed, redact: Redactor, record: ledger.Record | None = None
) -> None:
    """Writes the record: what passed its gates, and what must not be chosen again. `record`: as it was read before."""
    store, release, generation = run.session.store, run.plan.release, run.lease.generation
    has_migrated = run.progress.has_migrated(run.plan)
    if run.plan.strategy == "migrate" and has_migrated:
        ledger.has_migrated(store, release, generation=generation)
    if run.plan.strategy in NO_RELEASE:
        return
    if run.plan.retires:
        if verdict == "done":
            ledger.set_retired(store, run.plan.retires, generation=generation)
        return
    if verdict in ("done", "partial", "tolerated"):
        at = utc(run.session.clock.now())
        whole = verdict == "done"
        ledger.passed(
            store, release, run=run.id, at=at, whole=whole, migrated=has_migrated, generation=generation, read=record
        )
        if run.plan.strategy == "rollback" and verdict == "done":
            for left in {*map(seen.current, seen.hosts), *_left(run)} - {release.id, ""}:
                why = f"rolled back to {release.id} by run {run.id}"
                ledger.mark_bad(store, Release(left), why, generation=generation)
        if run.plan.slot != seen.live or run.plan.standby:
            ledger.set_live(store, run.plan.slot, left_standing(run, verdict, seen), generation=generation)
        return
    ledger.take_back(store, run.id, generation=generation)
    if has_migrated:
        ledger.has_migrated(store, release, generation=generation)
    if verdict == "kept" and run.plan.slot != seen.live and _serves(run):
        ledger.set_live(store, run.plan.slot, left_standing(run, verdict, seen), generation=generation)
    elif verdict in ("rolled back", "aborted") and (run.plan.slot != seen.live or run.plan.standby):
        ledger.set_live(store, seen.live, seen.standby, generation=generation)
    if verdict in ("rolled back", "kept", "mixed") and not reason.startswith(NOBODYS_FAULT):
        why = redact(f"run {run.id}: {reason.splitlines()[0]}")
        ledger.mark_bad(store, release, why, unless_passed=True, generation=generation)
