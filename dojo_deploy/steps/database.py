"""Migrations: once per run, before the first batch."""

from __future__ import annotations

from dataclasses import dataclass

from dojo_deploy.command import Command
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import Placement


@dataclass(frozen=True)
class Migrate:
    """Keys of `migrate:` in a strategy file. `deadline` in seconds; the whole process group is killed after it."""

    run: str
    deadline: float = 600.0


def migrate(place: Placement, settings: Migrate) -> Step:
    """Runs the migration tool in the new release, with the new release's environment.

    It must only expand the schema: nothing undoes it, and the old release goes on running on it. Not idempotent to us:
    after a crash in the middle it is never run a second time by itself.
    """
    line = f'. "$RELEASE_DIR/.dojo/env.sh" && cd "$RELEASE_DIR" && {settings.run}'
    command = Command.shell(line, env=place.variables)
    return Step(
        "migrate",
        OnHost((command,), idempotent=False),
        point_of_no_return=True,
        deadline=settings.deadline,
        once=True,
    )
