"""Migrations: once per run, before the first batch, and only those that the release which serves can live with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations.commands import ALLOWED, forbidden, is_deaf
from dojo_deploy.migrations.folders import in_artifact
from dojo_deploy.migrations.programs import BUSY, GUARD, RUN, UNTOUCHED
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import Placement, Release, Tool
from dojo_deploy.steps import failures, migrated


@dataclass(frozen=True)
class Migrate:
    """Keys of `migrate:` in a strategy file. `deadline` in seconds; the whole process group is killed after it.

    `run` goes to `sh -e`. `folder`: where the release has its migrations, if not in prisma/migrations, migrations or
    db/migrations. `applied`: a line run where the application serves, with its environment, that prints the names of
    those which the database has seen (before a name, `failed ` for one that stopped half-way); the tables of Prisma,
    node-pg-migrate and dbmate are known without. Else those which came with what serves now count as seen.
    `allow_contract`: also such as the release that serves cannot live with, with a backup that is younger than
    `proven_within` (seconds) and was proven by a drill; where the inventory has no `database:`, with a `reason`.
    `lock_within` in seconds: for another migration of the same database to end. `lock_timeout` in seconds, by
    PGOPTIONS, which poolers and Prisma's own engine do not take; 0: the database's.
    """

    run: str
    deadline: float = 600.0
    folder: str = ""
    applied: str = ""
    allow_contract: bool = False
    proven_within: float = 86400.0
    reason: str = ""
    lock_timeout: float = 0.0
    lock_within: float = 10.0

    def __post_init__(self) -> None:
        refuse_destructive(self.run)
        if is_deaf(self.run):
            raise ConfigError(
                "psql goes on after an error and ends 0", key="run", hint="psql -v ON_ERROR_STOP=1 --single-transaction"
            )


def refuse_destructive(line: str, key: str = "run") -> None:
    """Raises ConfigError for a line that resets a database, or rewrites it without a migration."""
    if found := forbidden(line):
        raise ConfigError(
            f"{found} may reset the database or lose data",
            key=key,
            hint=f"npx --no-install prisma migrate deploy, or another of {', '.join(ALLOWED)}",
        )


def with_migrations(release: Release, artifact: Path, settings: Migrate) -> Release:
    """The release with what its artifact says of its migrations.

    Raises RefusedError when the line leads, over a script of the release, to a command that may lose data.
    """
    files, scripts = in_artifact(artifact, settings.folder)
    if found := forbidden(settings.run, scripts):
        raise RefusedError(f"{settings.run!r} would run {found}", hint="a script that runs `prisma migrate deploy`")
    return replace(release, migrations=files, tool=Tool(settings.run, settings.folder, settings.applied))


def questions(settings: Migrate | None) -> Mapping[str, str]:
    """What is to be asked where the application serves, before the plan is made: name -> line."""
    return migrated.questions(Tool(settings.run, settings.folder, settings.applied)) if settings else {}


def migrate(place: Placement, settings: Migrate) -> Step:
    """Runs the migration tool in the new release, with the new release's environment, under an advisory lock.

    Nothing undoes it. After a crash in the middle it runs again only once the database's own table of migrations has
    said that none is half done.
    """
    options = f"-c lock_timeout={settings.lock_timeout * 1000:.0f}"
    env = {
        **place.variables,
        **({"PGOPTIONS": options} if settings.lock_timeout else {}),
        **({"DOJO_APPLIED": settings.applied} if settings.applied else {}),
        "DOJO_LOCK_WITHIN": f"{settings.lock_within:g}",
        "DOJO_LINE": settings.run,
        "DOJO_GUARD": GUARD,
    }
    return Step(
        "migrate",
        OnHost((Command.shell(RUN, env=env),), idempotent=False, guarded=True),
        point_of_no_return=True,
        harmless=(BUSY, UNTOUCHED),
        deadline=settings.deadline,
        once=True,
        explains=failures.explained(place),
    )
