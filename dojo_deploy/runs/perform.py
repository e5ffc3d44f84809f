"""One run, told: the plan carried out, users watched meanwhile, the record written, the fleet counted."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.configuration.finding import name_to_type
from dojo_deploy.engine import ledger, leftovers, lock
from dojo_deploy.engine.census import take_census
from dojo_deploy.engine.closing import close_hosts
from dojo_deploy.engine.journal import Journal, path_of
from dojo_deploy.engine.partial import meant_by, told_apart
from dojo_deploy.engine.progress import Progress
from dojo_deploy.engine.remember import left_standing, remember
from dojo_deploy.engine.retell import keep
from dojo_deploy.engine.run import Run
from dojo_deploy.engine.runner import Outcome, carry_out
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import DojoError
from dojo_deploy.events import CensusTaken, LoadMeasured, PlanMade, RunFinished, RunStarted, Warned
from dojo_deploy.plan import Plan
from dojo_deploy.prober import Prober
from dojo_deploy.release import Observed
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import BoundSession, OpenSession, work_folder
from dojo_deploy.signals import stops
from dojo_deploy.windows import overrun

EXIT_CODES = {
    **dict.fromkeys(("done", "partial", "aborted", "nothing to do"), 0),
    "fenced": 12,
    "rolled back": 20,
    **dict.fromkeys(("tolerated", "kept", "halted", "mixed"), 30),
    "interrupted": 130,
}


@dataclass(frozen=True)
class Result:
    """How a run ended. `exit_code` is the documented one; `seconds` is the time from the lock to the end."""

    run: str
    verdict: str
    release: str = ""
    reason: str = ""
    seconds: float = 0.0
    plan: Plan | None = None
    census: CensusTaken | None = None
    load: LoadMeasured | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


def perform(
    run: Run,
    executor: Executor,
    trail: EventTrail,
    wishes: Wishes,
    header: ledger.Header,
    seen: Observed,
    *,
    undoing: str = "",
    resumed: bool = False,
    abort: bool = False,
    record: ledger.Record | None = None,
) -> Result:
    """Carries the run out, from where it is, and ends it. `abort`: undoing is what was asked for, and no failure.

    `record`, where it was read under this very lock, need not be read again.

    Raises what keeps a run from being told: RefusedError without a journal, StoreError or FencedError from the store.
    """
    session = run.session
    assert isinstance(session, OpenSession)
    site = session.inventory
    started = session.clock.monotonic()
    journal = Journal(path_of(work_folder(site), site.scope, run.id), wishes.redact)
    with contextlib.closing(journal):
        _announce(run, trail, journal, wishes, header, resumed=resumed)
        prober = _probe(session, wishes, seen)

        def warn(text: str) -> None:
            trail.emit(Warned(text=text))

        with stops(session.cancelled, say=warn, restore=wishes.restore):
            cleared = executor.submit(leftovers.clear, run, work_folder(site))
            try:
                so_far = (lambda: trail.emit(prober.so_far())) if prober else (lambda: None)
                with overrun.watched(session, run.plan.window, warn):
                    outcome = carry_out(run, executor, undoing=undoing, on_served=so_far)
            finally:
                load = prober.stop(at_least=wishes.probe_at_least) if prober else None
            if load:
                trail.emit(load)
            # Here too the first signal only asks: a run that has ended must not be left open for want of a note.
            cleared.result()
            result = _finish(run, executor, outcome, wishes, seen, load, started, abort=abort, record=record)
        if journal.trouble:
            warn(f"the journal is not whole: {journal.trouble}")
    return result


def _announce(
    run: Run, trail: EventTrail, journal: Journal, wishes: Wishes, header: ledger.Header, *, resumed: bool
) -> None:
    site = run.session.inventory
    trail.attach(
        journal, ledger.Notes(run.session.store, run.lease.generation, wishes.redact, fresh=not resumed), run.id
    )
    trail.emit(
        RunStarted(
            run=run.id,
            scope=site.scope,
            strategy=run.plan.strategy,
            release=run.plan.release.id,
            by=header.by,
            generation=run.lease.generation,
            resumed=resumed,
            refs=_refs(header),
        )
    )
    trail.emit(PlanMade(plan=header.plan, hash=header.plan_hash))
    trail.sync()


def _refs(header: ledger.Header) -> dict[str, str]:
    """What people call the releases that this run may meet."""
    met = {release for host in header.observed["hosts"].values() for release in host["current"].values()}
    found = [known for known in header.observed["known"] if known["id"] in met]
    return {release["id"]: release["ref"] for release in (*found, header.release) if release["ref"]}


def _finish(
    run: Run,
    executor: Executor,
    outcome: Outcome,
    wishes: Wishes,
    seen: Observed,
    load: LoadMeasured | None,
    started: float,
    *,
    abort: bool,
    record: ledger.Record | None,
) -> Result:
    session, plan, trail = run.session, run.plan, run.trail
    site, clock = session.inventory, session.clock
    verdict = outcome.verdict
    if verdict == "done" and wishes.limit:
        verdict = "partial"
    if verdict == "rolled back" and abort:
        verdict = "aborted"
    census = None
    if verdict != "fenced":
        looks = close_hosts(run, outcome, executor)
        if seen.hosts:  # a run that leaves the fleet alone did not look at it either
            census = take_census(
                session,
                [host for host in site.group(site.web) if host.name in seen.hosts],
                executor,
                live=seen.live,
                looks=looks,
                standby=left_standing(run, verdict, seen),
            )
        if census and verdict == "partial":
            census = told_apart(census, meant_by(plan, seen))
        if census:
            trail.emit(census)
    seconds = round(clock.monotonic() - started, 3)
    trail.emit(
        RunFinished(
            run=run.id,
            verdict=verdict,
            exit_code=EXIT_CODES[verdict],
            seconds=seconds,
            reason=outcome.reason,
            stage_seconds=outcome.stage_seconds,
            inventory=name_to_type(run.session.inventory.path),
        )
    )
    trail.sync()
    if verdict == "fenced":
        # Ours or not any more, it must not be renewed for as long as this program lives.
        with contextlib.suppress(DojoError):
            run.lease.release(closed=False)
    else:
        # Last, so that a run which is aborted until then has left nothing in the record.
        remembered = executor.submit(remember, run, verdict, outcome.reason, seen, wishes.redact, record)
        code = EXIT_CODES[verdict]
        journal = path_of(work_folder(site), site.scope, run.id)
        kept = executor.submit(keep, session.store, run.id, run.lease.generation, journal)
        trail.note("finished", verdict=verdict, reason=outcome.reason, exit_code=code, seconds=seconds)
        kept.result()
        remembered.result()
        run.lease.release(closed=outcome.is_over)
    return Result(run.id, verdict, plan.release.id, outcome.reason, seconds, plan, census, load)


def _probe(session: OpenSession, wishes: Wishes, seen: Observed) -> Prober | None:
    site = session.inventory
    if not wishes.probe_rate or not site.url:
        return None
    bare = not any(seen.current(host) for host in seen.hosts)
    return Prober.start(
        site.url.rstrip("/") + site.app.health,
        field=site.app.release_field,
        rate=wishes.probe_rate,
        work=work_folder(site) / "probe",
        from_first_success=bare,
    )


def run_of(
    session: OpenSession,
    run_id: str,
    plan: Plan,
    lease: lock.Lease,
    trail: EventTrail,
    progress: Progress,
    artifact: Path | None,
) -> Run:
    session.lease = lease.store_id, lease.generation
    return Run(
        id=run_id,
        plan=plan,
        session=session,
        bound=lambda say: BoundSession(session, say),
        lease=lease,
        trail=trail,
        progress=progress,
        stopping=threading.Event(),
        artifact=artifact,
    )
