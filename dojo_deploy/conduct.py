"""One change of one site, from taking the lock to giving it back: observe, plan, run, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dojo_deploy
from dojo_deploy.clock import utc
from dojo_deploy.config import inventory_from_document, strategy_document, strategy_from_document
from dojo_deploy.engine import hoststate, ledger, lock
from dojo_deploy.engine.census import take_census
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.journal import Journal
from dojo_deploy.engine.lanes import Run
from dojo_deploy.engine.observe import observe
from dojo_deploy.engine.progress import Progress
from dojo_deploy.engine.runner import Outcome, carry_out
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import DojoError, OpenRunError, RefusedError, TransportError
from dojo_deploy.events import CensusTaken, LoadMeasured, PlanMade, RunFinished, RunStarted, Warned
from dojo_deploy.interfaces import Strategy, Subscriber
from dojo_deploy.plan import CONTROLLER, Plan
from dojo_deploy.prober import Prober
from dojo_deploy.release import Layout, Observed, Release
from dojo_deploy.secrets import Redactor
from dojo_deploy.session import BoundSession, OpenSession, work_folder
from dojo_deploy.signals import stops

EXIT_CODES = {
    "done": 0,
    "partial": 0,
    "aborted": 0,
    "nothing to do": 0,
    "fenced": 12,
    "rolled back": 20,
    "tolerated": 30,
    "halted": 30,
    "mixed": 30,
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


@dataclass(frozen=True)
class Wishes:
    """What is asked of a run beside its strategy. `probe_rate` in requests per second; 0: no prober."""

    limit: str = ""
    by: str = ""
    reason: str = ""
    probe_rate: float = 0.0
    probe_at_least: int = 0
    subscribers: tuple[Subscriber, ...] = ()
    redact: Redactor = field(default_factory=Redactor)


ReleaseOf = Callable[[Observed], Release]


def look_and_plan(
    session: OpenSession, strategy: Strategy, release_of: ReleaseOf, executor: Executor, *, platform: bool
) -> tuple[Observed, Plan]:
    """Observes the hosts that the strategy will touch and plans for what was found."""
    site = session.inventory
    record = ledger.read_record(session.store)
    hosts = site.group(site.web)
    chosen = {host.name for host in site.select(getattr(strategy, "limit", ""))}
    seen = observe(
        session,
        [host for host in hosts if host.name in chosen or site.balancer.can_drain],
        executor,
        known=record.releases,
        live=record.live,
        platform=platform,
        optional=frozenset(host.name for host in hosts) - chosen,
    )
    return seen, strategy.plan(site, release_of(seen), seen)


def conduct(
    session: OpenSession,
    strategy: Strategy,
    release_of: ReleaseOf,
    wishes: Wishes,
    trail: EventTrail,
    *,
    artifact: Path | None,
    platform: bool,
) -> Result:
    """Starts a new run and carries it out. Raises LockedError, OpenRunError, RefusedError before any change."""
    site, clock = session.inventory, session.clock
    run_id = ledger.new_run_id(clock.now())
    with threads(site_lanes(session)) as executor:
        lease = lock.take(
            session.store, clock, run=run_id, ttl=site.lock.ttl, holder=lock.Holder.here(), purpose="deploy"
        )
        try:
            seen, plan = look_and_plan(session, strategy, release_of, executor, platform=platform)
            _refuse_open(seen)
            header = ledger.Header(
                run=run_id,
                scope=site.scope,
                strategy=strategy_document(strategy),
                inventory=site.document,
                observed=ledger.observed_as_dict(seen),
                release=ledger.release_as_dict(plan.release),
                plan=plan.as_dict(),
                plan_hash=plan.hash,
                tool=dojo_deploy.__version__,
                by=wishes.by or str(lock.Holder.here()),
                at=utc(clock.now()),
                options={"limit": wishes.limit, "reason": wishes.reason},
            )
            ledger.write_header(session.store, header)
            if artifact:
                ledger.write_artifact(session.store, run_id, artifact)
            lease.open(run_id)
        except BaseException:
            lease.release(closed=True)
            raise
        run = _run(session, run_id, plan, lease, trail, Progress(), artifact)
        return _carry(run, executor, trail, wishes, header, seen)


def go_on(session: OpenSession, wishes: Wishes, *, abort: bool) -> Result:
    """Resumes, or undoes, the run that never ended. Needs the store and the hosts, nothing of this machine."""
    site, clock = session.inventory, session.clock
    purpose = "abort" if abort else "resume"
    lease = lock.take(session.store, clock, run="", ttl=site.lock.ttl, holder=lock.Holder.here(), purpose=purpose)
    if not lease.open_run:
        lease.release(closed=True)
        return Result("", "nothing to do")
    try:
        header = ledger.read_header(session.store, lease.open_run)
        session.inventory = inventory_from_document(header.inventory, path=site.path)
        strategy = strategy_from_document(header.strategy)
        seen = ledger.observed_from_dict(header.observed)
        plan = strategy.plan(session.inventory, ledger.release_from_dict(header.release), seen)
        if plan.hash != header.plan_hash:
            raise RefusedError(
                f"run {header.run} was planned by another version ({header.tool}) or configuration",
                hint=f"use dojo-deploy {header.tool} for this one run",
            )
        artifact = _artifact(session, header)
        with threads(site_lanes(session)) as executor:
            notes = ledger.notes(session.store, header.run)
            progress = _progress(session, plan, header.run, notes, executor, strict=not abort)
            trail = EventTrail(clock, wishes.subscribers)
            run = _run(session, header.run, plan, lease, trail, progress, artifact)
            undoing = next((str(note["reason"]) for note in notes if note["kind"] == "undo"), "")
            if abort and not undoing:
                undoing = wishes.reason or "aborted by the operator"
                wishes = replace(wishes, reason=undoing)
            return _carry(run, executor, trail, wishes, header, seen, undoing=undoing, resumed=True, abort=abort)
    except BaseException:
        lease.release(closed=False)
        raise


def _run(
    session: OpenSession,
    run_id: str,
    plan: Plan,
    lease: lock.Lease,
    trail: EventTrail,
    progress: Progress,
    artifact: Path | None,
) -> Run:
    import threading

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


def _carry(
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
) -> Result:
    session = run.session
    assert isinstance(session, OpenSession)
    clock, site = session.clock, session.inventory
    started = clock.monotonic()
    journal = Journal(work_folder(site) / "runs" / site.scope / run.id / "journal.jsonl", wishes.redact)
    trail.attach(journal, ledger.Notes(session.store, run.lease.generation, wishes.redact), run.id)
    trail.emit(
        RunStarted(
            run=run.id,
            scope=site.scope,
            strategy=run.plan.strategy,
            release=run.plan.release.id,
            by=header.by,
            generation=run.lease.generation,
            resumed=resumed,
        )
    )
    trail.emit(PlanMade(plan=run.plan.as_dict(), hash=run.plan.hash))
    trail.sync()
    prober = _probe(session, wishes, seen)
    with stops(session.cancelled, say=lambda text: trail.emit(Warned(text=text)), restore=lambda: None):
        try:
            outcome = carry_out(run, executor, undoing=undoing)
        finally:
            load = prober.stop(at_least=wishes.probe_at_least) if prober else None
    if load:
        trail.emit(load)
    return _finish(run, executor, outcome, wishes, seen, load, started, abort=abort)


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
        _remember(run, verdict, outcome, seen)
        census = take_census(
            session, [host for host in site.group(site.web) if host.name in seen.hosts], executor, live=seen.live
        )
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
        )
    )
    trail.sync()
    if verdict != "fenced":
        trail.note("finished", verdict=verdict, reason=outcome.reason)
        run.lease.release(closed=outcome.is_over)
    return Result(run.id, verdict, plan.release.id, outcome.reason, seconds, plan, census, load)


def _remember(run: Run, verdict: str, outcome: Outcome, seen: Observed) -> None:
    """Writes the record: what passed its gates, and what must not be chosen again."""
    store, release, clock = run.session.store, run.plan.release, run.session.clock
    if run.plan.strategy == "restart":
        return
    if verdict in ("done", "partial"):
        ledger.passed(
            store, release, run=run.id, at=utc(clock.now()), whole=verdict == "done", generation=run.lease.generation
        )
        if run.plan.strategy == "rollback":
            for left in {seen.current(host) for host in seen.hosts} - {release.id, ""}:
                ledger.mark_bad(store, left, f"rolled back to {release.id} by run {run.id}", generation=run.lease.generation)
    elif verdict in ("rolled back", "mixed", "tolerated") and "signal" not in outcome.reason:
        why = f"run {run.id}: {outcome.reason.splitlines()[0]}"
        ledger.mark_bad(store, release.id, why, unless_passed=True, generation=run.lease.generation)


def _progress(
    session: OpenSession,
    plan: Plan,
    run: str,
    notes: Iterable[Mapping[str, Any]],
    executor: Executor,
    *,
    strict: bool,
) -> Progress:
    """What earlier sessions of the run did. `strict`: a host that cannot be asked is an error, else all may have run."""
    hosts = dict.fromkeys(lane.host for _, _, lane, _ in plan.steps() if lane.host != CONTROLLER)
    futures = {
        host: executor.submit(hoststate.record, session.shell(host), Layout(session.inventory.hosts[host].root), run)
        for host in hosts
    }
    ended: dict[str, int | None] = {}
    for host, future in futures.items():
        try:
            ended.update(future.result())
        except TransportError:
            if strict:
                raise
            ended.update({name: None for name, _, lane, _ in plan.steps() if lane.host == host})
    tolerated = []
    for note in notes:
        if note["kind"] == "intent":
            ended.setdefault(str(note["step"]), None)
        elif note["kind"] == "outcome":
            ended[str(note["step"])] = 0
        elif note["kind"] == "tolerated":
            tolerated.append(str(note["host"]))
    return Progress(ended, tolerated=tolerated)


def _artifact(session: OpenSession, header: ledger.Header) -> Path | None:
    """The run's artifact, from the store into this machine's cache. Raises RefusedError when it is damaged."""
    sha256 = str(header.release.get("sha256", ""))
    if not sha256:
        return None
    path = work_folder(session.inventory) / "artifacts" / f"{header.run}.tgz"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path if ledger.read_artifact(session.store, header.run, path, sha256=sha256) else None


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


def _refuse_open(seen: Observed) -> None:
    for host in seen.hosts.values():
        if host.open_run:
            raise OpenRunError(
                f"{host.host}: run {host.open_run} began there and never ended",
                hint="invoke resume   goes on with it; invoke abort   undoes it",
            )


def site_lanes(session: OpenSession) -> int:
    """How many hosts are worked on at once."""
    return max(host.ssh.lanes for host in session.inventory.hosts.values())
