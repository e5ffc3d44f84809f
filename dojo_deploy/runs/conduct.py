"""A run from its beginning to its end, or from where it was left: a new one, or one that never ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from dojo_deploy.config import inventory_from_document, strategy_from_document
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.progress import Progress
from dojo_deploy.engine.recall import recall
from dojo_deploy.engine.remember import ABORTED
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.runs.begin import ReleaseOf, begin, give_back, site_lanes, take
from dojo_deploy.runs.perform import Result, perform, run_of
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import OpenSession, work_folder

__all__ = ["Result", "Wishes", "conduct", "go_on"]


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
    if not session.inventory.document:
        raise ConfigError(
            "this Inventory has no document, so no other machine could resume its runs",
            hint="make it with load_inventory(path) or inventory_from_document({...})",
        )
    begun = begin(session, strategy, release_of, wishes, artifact=artifact, platform=platform)
    lease, plan = begun.lease, begun.plan
    with threads(site_lanes(session)) as executor:
        run = run_of(session, begun.header.run, plan, lease, trail, Progress(), artifact)
        try:
            return perform(run, executor, trail, wishes, begun.header, begun.seen, record=begun.record)
        except BaseException:
            # Without a journal, say, nothing was begun: then nothing is left to resume either.
            give_back(lease, closed=not run.progress.touched(plan))
            raise


def go_on(session: OpenSession, wishes: Wishes, *, abort: bool) -> Result:
    """Resumes, or undoes, the run that never ended. Needs the store and the hosts, nothing of this machine."""
    site, clock = session.inventory, session.clock
    lease = take(session, "", "abort" if abort else "resume")
    if not lease.open_run:
        lease.release(closed=True)
        return Result("", "nothing to do")
    try:
        header = ledger.find_header(session.store, lease.open_run)
        if header is None or not ledger.began(session.store, header):
            # Its controller ended before the first change.
            ledger.forget(session.store, lease.open_run)
            lease.release(closed=True)
            return Result(lease.open_run, "nothing to do", reason=f"run {lease.open_run} never began; it is forgotten")
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
        give_back(lease, closed=False)
        raise


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
