"""From taking the lock to giving it back: a new run, or one that never ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import dojo_deploy
from dojo_deploy.clock import utc
from dojo_deploy.config import inventory_from_document, strategy_document, strategy_from_document
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.closing import close_forgotten
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.facts import ask
from dojo_deploy.engine.observe import Looking
from dojo_deploy.engine.progress import Progress
from dojo_deploy.engine.recall import recall
from dojo_deploy.engine.remember import ABORTED
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError, DojoError, RefusedError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import Inventory
from dojo_deploy.perform import Result, perform, run_of
from dojo_deploy.plan import Plan
from dojo_deploy.release import Observed, Release
from dojo_deploy.session import OpenSession, work_folder
from dojo_deploy.wishes import Wishes

__all__ = ["Result", "Wishes", "conduct", "go_on", "look_and_plan", "site_lanes"]

ReleaseOf = Callable[[Observed], Release]


def look_and_plan(
    session: OpenSession, strategy: Strategy, release_of: ReleaseOf, executor: Executor, *, platform: bool
) -> tuple[Observed, Plan]:
    """Observes the hosts that the strategy will touch and plans for what was found."""
    seen = _answered(session, strategy, start_looking(session, strategy, executor, platform=platform).observed())
    return seen, strategy.plan(session.inventory, release_of(seen), seen)


def start_looking(session: OpenSession, strategy: Strategy, executor: Executor, *, platform: bool) -> Looking:
    """Begins to observe the hosts that the strategy will touch."""
    site = session.inventory
    hosts = site.group(site.web)
    chosen = {host.name for host in site.select(getattr(strategy, "limit", ""))}
    return Looking(
        session,
        [host for host in hosts if host.name in chosen or site.balancer.can_drain],
        executor,
        record=lambda: ledger.read_record(session.store),
        platform=platform,
        optional=frozenset(host.name for host in hosts) - (frozenset() if _may_lack(site, strategy) else chosen),
    )


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
    if not site.document:
        raise ConfigError(
            "this Inventory has no document, so no other machine could resume its runs",
            hint="make it with load_inventory(path) or inventory_from_document({...})",
        )
    run_id = ledger.new_run_id(clock.now())
    with threads(site_lanes(session)) as executor, unchanged():
        session.warm(host.name for host in site.select(getattr(strategy, "limit", "")))
        looking: list[Looking] = []

        def look(is_free: bool) -> None:
            looking.clear()
            if is_free:
                looking.append(start_looking(session, strategy, executor, platform=platform))

        lease = _take(session, run_id, "deploy", look)
        sent = executor.submit(ledger.write_artifact, session.store, run_id, artifact) if artifact else None
        try:
            if not looking:
                look(True)
            seen = _answered(session, strategy, looking[0].observed())
            plan = strategy.plan(site, release_of(seen), seen)
            close_forgotten(session, seen, lease)
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
            # Side by side: a run that is open and has no header never began. One that has brings what it deploys.
            opened = executor.submit(lease.open, run_id)
            try:
                if sent:
                    sent.result()
                ledger.write_header(session.store, header, wishes.redact)
            finally:
                wait([opened])
        except BaseException:
            _discard(session, run_id, sent)
            _give_back(lease, closed=True)
            raise
        try:
            opened.result()
        except BaseException:
            # It may have been opened all the same: its header and its artifact stay.
            _give_back(lease, closed=True)
            raise
    with threads(site_lanes(session)) as executor:
        run = run_of(session, run_id, plan, lease, trail, Progress(), artifact)
        try:
            return perform(run, executor, trail, wishes, header, seen)
        except BaseException:
            # Without a journal, say, nothing was begun: then nothing is left to resume either.
            _give_back(lease, closed=not run.progress.touched(plan))
            raise


def go_on(session: OpenSession, wishes: Wishes, *, abort: bool) -> Result:
    """Resumes, or undoes, the run that never ended. Needs the store and the hosts, nothing of this machine."""
    site, clock = session.inventory, session.clock
    lease = _take(session, "", "abort" if abort else "resume")
    if not lease.open_run:
        lease.release(closed=True)
        return Result("", "nothing to do")
    try:
        header = ledger.find_header(session.store, lease.open_run)
        if header is None:
            # Its controller ended before the first change.
            lease.release(closed=True)
            return Result(lease.open_run, "nothing to do")
        session.turn_to(inventory_from_document(header.inventory, path=site.path))
        strategy = strategy_from_document(header.strategy)
        seen = ledger.observed_from_dict(header.observed)
        plan = strategy.plan(session.inventory, ledger.release_from_dict(header.release), seen)
        if plan.hash != header.plan_hash:
            raise RefusedError(
                f"run {header.run} was planned by another version ({header.tool}) or configuration",
                hint=f"use dojo-deploy {header.tool} for this one run",
            )
        wishes = replace(wishes, limit=str(header.options.get("limit", "")))
        notes = ledger.notes(session.store, header.run)
        undoing = next((str(note["reason"]) for note in notes if note["kind"] == "undo"), "")
        if abort and not undoing:
            undoing = f"{ABORTED}: {wishes.reason}".removesuffix(": ")
            # Before hosts are asked, which may take minutes: killed meanwhile, it must not be resumed forwards.
            ledger.Notes(session.store, lease.generation, wishes.redact).note(header.run, "undo", {"reason": undoing})
        abort = abort or undoing.startswith(ABORTED)
        # Undoing brings nothing: a damaged artifact is no reason to leave the fleet half way.
        brought: AbstractContextManager[Path | None] = nullcontext() if undoing else _artifact(session, header, lease)
        with brought as artifact, threads(site_lanes(session)) as executor:
            session.lease = lease.store_id, lease.generation
            progress = recall(session, plan, header.run, notes, executor, strict=not abort)
            trail = EventTrail(clock, wishes.subscribers)
            run = run_of(session, header.run, plan, lease, trail, progress, artifact)
            return perform(run, executor, trail, wishes, header, seen, undoing=undoing, resumed=True, abort=abort)
    except BaseException:
        _give_back(lease, closed=False)
        raise


def _may_lack(site: Inventory, strategy: Strategy) -> bool:
    """Whether the strategy can do without a colour's hosts that are lost: then it refuses by itself where it cannot."""
    return bool(site.colours) and getattr(strategy, "leaves_lost_hosts", False)


def _answered(session: OpenSession, strategy: Strategy, seen: Observed) -> Observed:
    """With what the strategy itself asks."""
    questions = getattr(strategy, "asks", {})
    return replace(seen, facts=ask(session, seen, questions)) if questions else seen


def _discard(session: OpenSession, run: str, sent: Future[None] | None) -> None:
    """A run that never began leaves no artifact; where that fails, a later run clears it away."""
    if sent:
        wait([sent])
        with contextlib.suppress(DojoError):
            ledger.forget(session.store, run)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Within the block nothing is changed: what fails there is a refusal, and no reason to page anybody."""
    try:
        yield
    except DojoError as exc:
        if exc.exit_code != DojoError.exit_code:
            raise
        raise RefusedError(exc.message, hint=exc.hint) from exc


def _take(
    session: OpenSession, run: str, purpose: str, on_found: Callable[[bool], None] = lambda _: None
) -> lock.Lease:
    ttl, holder = session.inventory.lock.ttl, lock.Holder.here()
    return lock.take(
        session.store,
        session.clock,
        run=run,
        ttl=ttl,
        holder=holder,
        purpose=purpose,
        cancelled=session.cancelled,
        on_found=on_found,
    )


def _give_back(lease: lock.Lease, *, closed: bool) -> None:
    # What went wrong before is what people must see, not that the lock had been lost as well.
    with contextlib.suppress(DojoError):
        lease.release(closed=closed)


@contextlib.contextmanager
def _artifact(session: OpenSession, header: ledger.Header, lease: lock.Lease) -> Iterator[Path | None]:
    """The run's artifact from the store, as a file that goes with the block. Raises RefusedError when it is damaged."""
    sha256 = str(header.release.get("sha256", ""))
    if not sha256:
        yield None
        return
    # Nobody else's has this name: a session that was taken over from, and wakes up, removes its own.
    path = work_folder(session.inventory) / "artifacts" / f"{header.run}-{lease.generation}.tgz"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield path if ledger.read_artifact(session.store, header.run, path, sha256=sha256) else None
    finally:
        path.unlink(missing_ok=True)


def site_lanes(session: OpenSession) -> int:
    """How many hosts are worked on at once."""
    return max(host.ssh.lanes for host in session.inventory.hosts.values())
