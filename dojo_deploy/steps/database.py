"""Migrations: once per run, before the first batch, and only those that the release which serves can live with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations.commands import ALLOWED, forbidden, is_deaf
from dojo_deploy.migrations.findings import GRAVE
from dojo_deploy.migrations.folders import in_artifact
from dojo_deploy.migrations.programs import GUARD, LOCK, OWN_LOCKS, RUN
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import Finding, Migration, Observed, Placement, Release
from dojo_deploy.steps import failures, migrated

SHOWN = 5


@dataclass(frozen=True)
class Migrate:
    """Keys of `migrate:` in a strategy file. `deadline` in seconds; the whole process group is killed after it.

    `run` goes to `sh -e`. `folder`: where the release has its migrations, if not in prisma/migrations, migrations or
    db/migrations. `applied`: a line run where the application serves, with its environment, that prints the names of
    those which the database has seen (before a name, `failed ` for one that stopped half-way); the tables of Prisma,
    node-pg-migrate and dbmate are known without. Else those which came with what serves now count as seen.
    `allow_contract`: also such as the release that serves cannot live with. `lock_within` in seconds: for another
    migration of the same database to end. `lock_timeout` in seconds, by PGOPTIONS, which poolers and Prisma's own
    engine do not take; 0: the database's.
    """

    run: str
    deadline: float = 600.0
    folder: str = ""
    applied: str = ""
    allow_contract: bool = False
    lock_timeout: float = 0.0
    lock_within: float = 10.0

    def __post_init__(self) -> None:
        refuse_destructive(self.run)
        if is_deaf(self.run):
            raise ConfigError(
                "psql goes on after an error and ends 0", key="run", hint="psql -v ON_ERROR_STOP=1 --single-transaction"
            )


def refuse_destructive(line: str) -> None:
    """Raises ConfigError for a line that resets a database, or rewrites it without a migration."""
    if found := forbidden(line):
        raise ConfigError(
            f"{found} may reset the database or lose data",
            key="run",
            hint=f"npx --no-install prisma migrate deploy, or another of {', '.join(ALLOWED)}",
        )


def with_migrations(release: Release, artifact: Path, settings: Migrate) -> Release:
    """The release with what its artifact says of its migrations.

    Raises RefusedError when the line leads, over a script of the release, to a command that may lose data.
    """
    files, scripts = in_artifact(artifact, settings.folder)
    if found := forbidden(settings.run, scripts):
        raise RefusedError(f"{settings.run!r} would run {found}", hint="a script that runs `prisma migrate deploy`")
    return replace(release, migrations=files)


def questions(settings: Migrate | None) -> Mapping[str, str]:
    """What is to be asked where the application serves, before the plan is made: name -> line."""
    return migrated.questions(settings.run, settings.folder, settings.applied) if settings else {}


def pending(release: Release, seen: Observed) -> tuple[Migration, ...]:
    """Those of the release that have not run yet, in their order; all of them for a fleet that serves nothing."""
    history = migrated.history(seen)
    return tuple(migration for migration in release.migrations if not history.has(migration))


def notes(settings: Migrate | None, release: Release, seen: Observed) -> tuple[str, ...]:
    """What people should know of the pending migrations before they say yes.

    Raises RefusedError for one that an earlier attempt left half-way, and, unless they are allowed, for such as the
    release that serves cannot live with.
    """
    history = migrated.history(seen)
    waiting = pending(release, seen)
    if settings is None or not release.migrations:
        return ()
    if not history.source:
        return (f"nothing serves yet, so nobody judged the migrations of the release: {len(waiting)}",)
    refuse_unresolved(seen)
    grave = [(file, found) for file in waiting for found in file.findings if found.kind in GRAVE]
    if grave and not settings.allow_contract:
        raise RefusedError(
            "\n".join(["the release that serves cannot live with what is pending:", *_told(grave)]),
            hint="do it the safe way, or, with a fresh backup and when no older release has to come back: "
            "--allow-contract",
        )
    mild = [(file, found) for file in waiting for found in file.findings if found.kind not in GRAVE]
    changed = [file.name for file in release.migrations if file not in waiting and history.changed(file)]
    unread = (f"the table of migrations was not read: {history.trouble}",) if history.trouble else ()
    late = (f"changed after it had run, which changes nothing any more: {', '.join(changed)}",) if changed else ()
    named = ", ".join(file.name for file in waiting)
    counted = (f"pending by {history.source}: {named}",) if waiting else ()
    return (*counted, *(_locked(history) if waiting else ()), *unread, *late, *_told(grave), *_told(mild))


def refuse_unresolved(seen: Observed) -> None:
    """Raises RefusedError for a migration that an earlier run left half-way."""
    failed = migrated.history(seen).failed
    if failed:
        raise RefusedError(
            f"the migration {failed[0]} failed half-way in an earlier run (P3009), and none runs before it is resolved",
            hint=f"mend what it left, then say how: {failures.resolve(failed[0])}",
        )


def migrate(place: Placement, settings: Migrate) -> Step:
    """Runs the migration tool in the new release, with the new release's environment, under an advisory lock.

    Nothing undoes it. After a crash in the middle it runs again only once the database's own table of migrations has
    said that none is half done.
    """
    options = f"-c lock_timeout={settings.lock_timeout * 1000:.0f}"
    env = {
        **place.variables,
        **({"PGOPTIONS": options} if settings.lock_timeout else {}),
        **({"APPLIED": settings.applied} if settings.applied else {}),
        "LOCK_WITHIN": f"{settings.lock_within:g}",
        "LINE": settings.run,
        "GUARD": GUARD,
    }
    return Step(
        "migrate",
        OnHost((Command.shell(RUN, env=env),), idempotent=False, guarded=True),
        point_of_no_return=True,
        deadline=settings.deadline,
        once=True,
        explains=failures.explained(place),
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


def _told(found: list[tuple[Migration, Finding]]) -> list[str]:
    rows = [
        f"{file.name}:{one.line}: {one.kind}: {one.reason}{f' → {one.instead}' if one.instead else ''}"
        for file, one in found
    ]
    return [*rows[:SHOWN], *([f"… and {len(rows) - SHOWN} more: invoke db.lint"] if len(rows) > SHOWN else [])]
