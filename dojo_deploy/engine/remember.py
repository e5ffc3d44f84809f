"""What a run leaves in the record of releases."""

from __future__ import annotations

from dojo_deploy.clock import utc
from dojo_deploy.engine import ledger
from dojo_deploy.engine.run import Run
from dojo_deploy.engine.runner import SIGNALLED
from dojo_deploy.release import Observed, Release
from dojo_deploy.secrets import Redactor

ABORTED = "aborted by the operator"
NOBODYS_FAULT = (ABORTED, SIGNALLED)  # reasons that say nothing against the release


def remember(run: Run, verdict: str, reason: str, seen: Observed, redact: Redactor) -> None:
    """Writes the record: what passed its gates, and what must not be chosen again."""
    store, release, generation = run.session.store, run.plan.release, run.lease.generation
    if run.plan.strategy == "restart":
        return
    if verdict in ("done", "partial", "tolerated"):
        at = utc(run.session.clock.now())
        ledger.passed(store, release, run=run.id, at=at, whole=verdict == "done", generation=generation)
        if run.plan.strategy == "rollback" and verdict == "done":
            for left in {seen.current(host) for host in seen.hosts} - {release.id, ""}:
                why = f"rolled back to {release.id} by run {run.id}"
                ledger.mark_bad(store, Release(left), why, generation=generation)
        return
    ledger.take_back(store, run.id, generation=generation)
    if verdict in ("rolled back", "mixed") and not reason.startswith(NOBODYS_FAULT):
        why = redact(f"run {run.id}: {reason.splitlines()[0]}")
        ledger.mark_bad(store, release, why, unless_passed=True, generation=generation)
