"""Migrating alone: the line of `migrate:`, in what serves now. For after a `resolve`, or after a restored backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import database, judged
from dojo_deploy.steps.database import Migrate


@dataclass(frozen=True)
class Migrating:
    """Brings the database to the migrations that the release which serves came with, and changes nothing else."""

    release: ClassVar[str] = "present"

    migrate: Migrate

    @property
    def asks(self) -> Mapping[str, str]:
        """What is to be asked on the first host before the plan is made: name -> line."""
        return database.questions(self.migrate)

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError: nothing is deployed, an earlier migration has to be resolved first, or what is pending
        takes away what an older release needs."""
        host = next((host for host in site.select(slot=seen.live) if seen.current(host.name)), None)
        if host is None:
            raise RefusedError("nothing is deployed, so nothing says what to migrate to", hint="invoke deploy")
        verdict = judged.judge(self.migrate, site, release, seen)
        place = Placement(host, seen.live, seen.current(host.name), site.app)
        lane = Lane(host.name, (database.migrate(place, self.migrate),))
        return Plan(
            "migrate", release, (Stage("migrate", (lane,), phase="migrate"),), slot=seen.live, notes=verdict.notes
        )
