"""Restore: a backup takes the place of the live database, which is kept; undone by trading places again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dojo_deploy.database import Swap
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Page
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import database as migrations
from dojo_deploy.steps import migrated, restoring
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.restoring import Bring


@dataclass(frozen=True)
class Found:
    """What was found out before the plan was made: of the backup, of the server, and what the restore gives up."""

    backup: str = ""  # or `kept`: the database that an earlier restore left, to be taken back
    kept: str = ""
    sha256: str = ""
    identity: str = ""
    began: str = ""
    comment: str = ""  # of the database
    kept_until: str = ""
    is_missing: bool = False  # there is no live database
    closed: bool = False  # the site was in maintenance before
    migrations: tuple[Mapping[str, object], ...] = ()
    gives_up: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """What this restore calls things, chosen before: whoever goes on with it finds them."""

    new: str = ""
    old: str = ""
    safety: str = ""  # id of the safety backup
    until: str = ""  # UTC, when `old` may go
    by: str = ""


@dataclass(frozen=True)
class Restore:
    """Back up → restore beside → close → stop → swap → migrate → start → gate → open; what served is kept.

    `found` and `names` are filled in by `backup.restore`. `safety`: on, or off for a live database that cannot be
    dumped any more; it is kept in any case, for `keep_old_for` seconds. `migrate` brings what comes back to the
    migrations of the release that serves. `page` is what users see meanwhile.
    """

    release: ClassVar[str] = "present"

    found: Found = Found()
    names: Names = Names()
    migrate: Migrate | None = None
    gate: Gate = Gate()
    page: Page = Page(retry_after=30.0)
    safety: str = "on"
    keep_old_for: float = 7 * 86400.0
    on_failure: str = "rollback"
    on_interrupt: str = "halt"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("safety", ("on", "off")),
            ("on_failure", ("rollback", "halt")),
            ("on_interrupt", ("halt", "rollback")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{getattr(self, name)!r} is not possible", key=name, hint=" or ".join(allowed))

    @property
    def asks(self) -> Mapping[str, str]:
        """What is to be asked on the first host before the plan is made: name -> line. Nothing that asks the database:
        it may be the very thing that is broken.
        """
        return {name: line for name, line in migrations.questions(self.migrate).items() if name == migrated.SERVING}

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError for a backup of a newer schema than the release that serves knows."""
        found, names, database = self.found, self.names, site.database
        if database is None or not names.new:
            raise RefusedError("a restore begins with a backup", hint="invoke backup.restore")
        unknown = self._refuse_newer(seen)
        places = tuple(
            Placement(host, seen.live, seen.current(host.name), site.app)
            for host in site.select(slot=seen.live)
            if host.name in seen.hosts and seen.current(host.name)
        )
        swap = Swap(
            database.name,
            names.new,
            names.old,
            names.until,
            comment=found.comment,
            is_alone=found.is_missing,
            kept_until=found.kept_until,
        )
        saves = self.safety == "on" and not found.is_missing and not found.kept
        bring = Bring(database, found.backup, found.sha256, found.identity, names.new)
        return Plan(
            "restore",
            release,
            (
                *((restoring.save(database, names.safety, names.by, release.id),) if saves else ()),
                *((restoring.beside(bring),) if found.backup else ()),
                *restoring.away(site, places, self.page, self.gate, closed=found.closed),
                restoring.trade(database, swap),
                *self._migrating(places),
                *restoring.again(site, places, self.page, self.gate, closed=found.closed),
            ),
            slot=seen.live,
            notes=(*self._notes(site, places), *unknown),
            on_failure=self.on_failure,
            on_interrupt=self.on_interrupt,
        )

    def _migrating(self, places: tuple[Placement, ...]) -> tuple[Stage, ...]:
        if not self.migrate or not places or self.found.kept:
            return ()
        # What is migrated is the restored database: trading places undoes it whole.
        step = replace(migrations.migrate(places[0], self.migrate), point_of_no_return=False)
        return (Stage("migrate", (Lane(places[0].host.name, (step,)),), phase="migrate"),)

    def _refuse_newer(self, seen: Observed) -> tuple[str, ...]:
        """Notes. A migration that no release here ever had came before all of them, or has been squashed since."""
        serving = migrated.history(seen).serving
        if not self.found.migrations:
            return ()
        if not serving:
            return ("nobody knows whether the release that serves has the backup's migrations: invoke backup.list",)
        lacking = restoring.foreign(self.found.migrations, migrated.names_of(serving))
        recorded = [one.name for known in seen.known for one in known.migrations or ()]
        newer = [name for name in lacking if name in migrated.names_of(dict.fromkeys(recorded, ""))]
        if newer:
            raise RefusedError(
                f"the backup has migrations that the release which serves does not know: {', '.join(newer)}",
                hint="deploy the release that the backup names first: invoke backup.list",
            )
        return (f"in the backup, and of no release that is known here: {', '.join(lacking)}",) if lacking else ()

    def _notes(self, site: Inventory, places: tuple[Placement, ...]) -> tuple[str, ...]:
        found, names = self.found, self.names
        name = site.database.name if site.database else ""
        if found.is_missing:
            return (f"there is no database {name} now", *found.gives_up)
        what = found.kept or found.backup
        lost = [f"given up: every change since {found.began}"] if found.began else []
        shown = "users see 503 with Retry-After between `close` and `open`"
        if found.closed:
            shown = "the site is in maintenance, and stays so: invoke maintenance.finish (or .abort) opens it"
        elif not (site.balancer.can_drain and places):
            shown = "no balancer shows a page: users are refused between `stop` and `start`"
        return (
            f"{what} takes the place of {name}, which is kept as {names.old} until {names.until}",
            *lost,
            *(f"given up: {line}" for line in found.gives_up),
            shown,
        )
