"""A run's beginning: the lock taken, the site looked at, the change planned, and all of it in the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

import dojo_deploy
from dojo_deploy.clock import utc
from dojo_deploy.config import strategy_document
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.closing import close_forgotten
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.observe import Looking, RecordOnly
from dojo_deploy.errors import DojoError, RefusedError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.release import Observed, Release
from dojo_deploy.runs.asking import answered
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import OpenSession

ReleaseOf = Callable[[Observed], Release]


@dataclass(frozen=True)
class Begun:
    """A run that is open. Any machine can go on with it: what it needs is in the store."""

    header: ledger.Header
    lease: lock.Lease
    plan: Plan
    seen: Observed
    record: ledger.Record


def begin(
    session: OpenSession,
    strategy: Strategy,
    release_of: ReleaseOf,
    wishes: Wishes,
    *,
    artifact: Path | None,
    platform: bool,
) -> Begun:
    """Opens a new run. Raises LockedError, OpenRunError, RefusedError: nothing was changed, and nothing is open."""
    site, run = session.inventory, ledger.new_run_id(session.clock.now())
    with threads(site_lanes(session)) as executor, unchanged():
        session.warm(host.name for host in site.select(getattr(strategy, "limit", "")))
        looking: list[Looking] = []
        parts: list[Future[None]] = []

        def look(is_free: bool) -> None:
            looking.clear()
            if is_free:
                looking.append(start_looking(session, strategy, executor, platform=platform))
                if artifact and not parts:
                    parts.append(executor.submit(ledger.write_artifact, session.store, run, artifact))

        try:
            lease = take(session, run, "deploy", look)
        except BaseException:
            _discard(session, run, parts)
            raise
        try:
            if not looking:
                look(True)
            seen = answered(session, strategy, looking[0].observed())
            plan = strategy.plan(site, release_of(seen), seen)
            close_forgotten(session, seen, lease)
            header = _header(session, run, strategy, seen, plan, wishes, brings=artifact is not None)
            # Side by side: a run never began before all three of them are there.
            parts.append(executor.submit(ledger.write_header, session.store, header, wishes.redact))
            opened = executor.submit(lease.open, run)
            parts.append(opened)  # waited for too: it must not come after the lock was given back
            wait(parts)
            for part in parts[:-1]:
                part.result()
        except BaseException:
            _discard(session, run, parts)
            give_back(lease, closed=True)
            raise
        try:
            opened.result()
        except BaseException:
            # It may have been opened all the same: its header and its artifact stay.
            give_back(lease, closed=True)
            raise
    return Begun(header, lease, plan, seen, looking[0].record.result())


def look_and_plan(
    session: OpenSession, strategy: Strategy, release_of: ReleaseOf, executor: Executor, *, platform: bool
) -> tuple[Observed, Plan]:
    """Observes the hosts that the strategy will touch and plans for what was found."""
    seen = answered(session, strategy, start_looking(session, strategy, executor, platform=platform).observed())
    return seen, strategy.plan(session.inventory, release_of(seen), seen)


def start_looking(session: OpenSession, strategy: Strategy, executor: Executor, *, platform: bool) -> Looking:
    """Begins to observe the hosts that the strategy will touch."""
    if getattr(strategy, "leaves_fleet", False):
        return RecordOnly(executor, lambda: ledger.read_record(session.store))
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


def _header(
    session: OpenSession, run: str, strategy: Strategy, seen: Observed, plan: Plan, wishes: Wishes, *, brings: bool
) -> ledger.Header:
    site = session.inventory
    return ledger.Header(
        run=run,
        scope=site.scope,
        strategy=strategy_document(strategy),
        inventory=site.document,
        observed=ledger.observed_as_dict(seen),
        release=ledger.release_as_dict(plan.release),
        plan=plan.as_dict(),
        plan_hash=plan.hash,
        tool=dojo_deploy.__version__,
        by=wishes.by or str(lock.Holder.here()),
        at=utc(session.clock.now()),
        options={"limit": wishes.limit, "reason": wishes.reason, "artifact": brings},
    )


def _may_lack(site: Inventory, strategy: Strategy) -> bool:
    """Whether the strategy can do without a colour's hosts that are lost: then it refuses by itself where it cannot."""
    return bool(site.colours) and getattr(strategy, "leaves_lost_hosts", False)


def _discard(session: OpenSession, run: str, parts: list[Future[None]]) -> None:
    """A run that never began leaves nothing; where that fails, a later run clears it away."""
    if parts:
        wait(parts)
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


def take(session: OpenSession, run: str, purpose: str, on_found: Callable[[bool], None] = lambda _: None) -> lock.Lease:
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


def give_back(lease: lock.Lease, *, closed: bool) -> None:
    # What went wrong before is what people must see, not that the lock had been lost as well.
    with contextlib.suppress(DojoError):
        lease.release(closed=closed)


def site_lanes(session: OpenSession) -> int:
    """How many hosts are worked on at once."""
    return max(host.ssh.lanes for host in session.inventory.hosts.values())
