"""What a release's migrations would do to what is there: told, or refused, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.migrations.folders import title
from dojo_deploy.migrations.programs import LOCK, OWN_LOCKS
from dojo_deploy.release import Finding, Migration, Observed, Release
from dojo_deploy.steps import failures, migrated, schema
from dojo_deploy.steps.database import Migrate

PROOF = "proven backup"  # name of the answer: id and age in seconds of the newest that is young enough; or nothing
SHOWN = 5
HOUR = 3600.0


@dataclass(frozen=True)
class Judgement:
    """`contract`: why no older release can be brought back once the migrations have run; empty: it can."""

    notes: tuple[str, ...] = ()
    contract: str = ""


def pending(release: Release, seen: Observed) -> tuple[Migration, ...]:
    """Those of the release that have not run yet, in their order; all of them for a fleet that serves nothing."""
    history = migrated.history(seen)
    return tuple(migration for migration in release.migrations if not history.has(migration))


def judge(settings: Migrate | None, site: Inventory, release: Release, seen: Observed) -> Judgement:
    """What people should know of the pending migrations before they say yes.

    Raises RefusedError: an earlier attempt left one half-way; the release that serves cannot live with one, and that is
    not allowed, or nothing proves that what it takes away can be had back; the release itself cannot live with what the
    database has seen.
    """
    if settings is None:
        return Judgement()
    history = migrated.history(seen)
    waiting = pending(release, seen)
    if not history.source:
        unjudged = (f"nothing serves yet, so nobody judged the migrations of the release: {len(waiting)}",)
        return Judgement(unjudged if release.migrations else ())
    refuse_unresolved(seen)
    older = schema.refuse_older(release, seen, allowed=settings.allow_contract, reason=settings.reason)
    if not release.migrations:
        return Judgement(older)
    grave = [(file, found) for file in waiting for found in file.grave]
    backed = _backed(settings, site, seen, grave) if grave else ()
    mild = [(file, found) for file in waiting for found in file.findings if found not in file.grave]
    changed = [file.name for file in release.migrations if file not in waiting and history.changed(file)]
    unread = (f"the table of migrations was not read: {history.trouble}",) if history.trouble else ()
    late = (f"changed after it had run, which changes nothing any more: {', '.join(changed)}",) if changed else ()
    named = ", ".join(file.name for file in waiting)
    counted = (f"pending by {history.source}: {named}", *_locked(history)) if waiting else ()
    notes = (*counted, *unread, *late, *older, *backed, *told(grave), *told(mild))
    return Judgement(notes, _no_way_back(dict.fromkeys(title(file.name) for file, _ in grave)) if grave else "")


def refuse_unresolved(seen: Observed) -> None:
    """Raises RefusedError for a migration that an earlier run left half-way."""
    failed = migrated.history(seen).failed
    if failed:
        raise RefusedError(
            f"the migration {failed[0]} failed half-way in an earlier run (P3009), and none runs before it is resolved",
            hint=f"mend what it left, then say how: {failures.resolve(failed[0])}",
        )


def told(found: Sequence[tuple[Migration, Finding]]) -> list[str]:
    """A row each, as far as people read."""
    rows = [
        f"{file.name}:{one.line}: {one.kind}: {one.reason}{f' → {one.instead}' if one.instead else ''}"
        for file, one in found
    ]
    return [*rows[:SHOWN], *([f"… and {len(rows) - SHOWN} more: invoke db.lint"] if len(rows) > SHOWN else [])]


def _backed(
    settings: Migrate, site: Inventory, seen: Observed, grave: list[tuple[Migration, Finding]]
) -> tuple[str, ...]:
    """What there is to fall back on. Raises RefusedError when that is nothing."""
    young = f"{settings.proven_within / HOUR:g} hours"
    what = "\n".join(["the release that serves cannot live with what is pending:", *told(grave)])
    if not settings.allow_contract:
        proof = f"a backup younger than {young} that a drill has proven" if site.database else "--reason '…'"
        raise RefusedError(
            what,
            hint="do it the safe way; or, when no older release has to come back, with --allow-contract and "
            f"{proof}{' (invoke backup.create backup.drill)' if site.database else ''}",
        )
    proven = seen.facts.get(PROOF, "").split()
    if proven:
        return (f"to fall back on: the proven backup {proven[0]}, {float(proven[1]) / HOUR:.1f} hours old",)
    if site.database:
        raise RefusedError(
            f"{what}\nand no backup younger than {young} was proven by a drill",
            hint="invoke backup.create backup.drill   then the same again",
        )
    if not settings.reason:
        raise RefusedError(
            f"{what}\nand the inventory has no `database:`, so no backup of ours can prove that it comes back",
            hint="give it one: `database: {kind: postgres, name: …, host: …}`, then invoke backup.create backup.drill; "
            "or go on with --allow-contract --reason 'why it is safe', which is recorded",
        )
    return (f"nothing of ours to fall back on, allowed because: {settings.reason}",)


def _no_way_back(names: Iterable[str]) -> str:
    return (
        f"{', '.join(names)} has no way back: once it has run, no older release can serve, and a failure behind it "
        f"leaves the hosts as they are. {schema.OPTIONS}"
    )


def _locked(history: migrated.History) -> tuple[str, ...]:
    """Which locks keep two migrations apart, and what does not."""
    own = OWN_LOCKS.get(history.tool)
    tools = f"{history.tool}'s own, {own}, which a command typed by hand takes too" if own else ""
    if history.lock:
        without = "a migration that is typed by hand takes no lock: use invoke db.migrate"
        return (f"under the advisory lock {LOCK} in the database, by {history.lock}; and {tools or without}",)
    if history.no_lock:
        return (
            f"no advisory lock of ours in the database: {history.no_lock}; {tools or 'the tool takes none either'}",
        )
    return ()
