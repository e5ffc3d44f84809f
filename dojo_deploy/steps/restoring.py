"""A restore, step by step: a fresh backup, a database beside the live one, trading places, and the way back of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy.backups import catalogue, kept, unfinished
from dojo_deploy.backups.bring import bring
from dojo_deploy.backups.check import drop
from dojo_deploy.backups.create import create
from dojo_deploy.backups.measured import Said
from dojo_deploy.database import Database, Swap
from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Page
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER, Gate, Lane, OnHost, Stage, Step, Target
from dojo_deploy.release import Placement
from dojo_deploy.steps import services
from dojo_deploy.steps.maintenance import Close, Open

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

ASK_SECONDS = 120.0
NAMES = ("migration_name", "name", "version")  # columns: Prisma's, node-pg-migrate's, dbmate's


@dataclass(frozen=True)
class Save:
    """A fresh backup of the live database, under an id chosen before: an attempt that was killed is cleared away."""

    database: Database
    backup: str
    by: str
    release: str

    def preview(self) -> tuple[str, ...]:
        return (*self.database.beside.preview("dump"), f"into the store as {self.backup}")

    def run(self, session: Session) -> None:
        found = catalogue.read(session.store).backups
        if any(each.id == self.backup and each.manifest for each in found):
            return
        unfinished.remove(session, self.backup)
        told = Said(session)
        made = create(session, self.database, by=self.by, release=self.release, tell=told, backup=self.backup)
        session.say(f"{made.id}: {made.dump.size:,} bytes, read back; the live database as it was before the restore")


@dataclass(frozen=True)
class Clear:
    """Nothing is left of a backup that was not finished; a whole one stays."""

    backup: str

    def preview(self) -> tuple[str, ...]:
        return (f"what there is of {self.backup} goes, unless it is whole",)

    def run(self, session: Session) -> None:
        if all(each.id != self.backup for each in catalogue.read(session.store).backups):
            unfinished.remove(session, self.backup)


@dataclass(frozen=True)
class Bring:
    """The backup, restored beside the live database, counted, and found to be what was dumped."""

    database: Database
    backup: str
    sha256: str
    identity: str  # of the cluster that is meant
    name: str

    def preview(self) -> tuple[str, ...]:
        return (
            *self.database.beside.preview("bring_back", self.name),
            "rows, constraints and indexes as in the manifest",
        )

    def run(self, session: Session) -> None:
        found = self.database.look(session).identity
        if found != self.identity:
            raise RefusedError(f"this is the cluster {found}, and the restore was planned for {self.identity}")
        backup = catalogue.read(session.store).find(self.backup)
        contents = bring(session, self.database, backup, self.name, sha256=self.sha256, tell=Said(session))
        session.say(
            f"{self.name}: {sum(contents.rows.values()):,} rows in {len(contents.rows)} tables, as in the manifest"
        )


@dataclass(frozen=True)
class Drop:
    """What was restored beside the live database goes, unless it has been live: then it is kept for a while."""

    database: Database
    name: str

    def preview(self) -> tuple[str, ...]:
        return (*self.database.beside.preview("drop_scratch", self.name), "unless it has been live: then it is kept")

    def run(self, session: Session) -> None:
        drop(session, self.database, self.name)


@dataclass(frozen=True)
class Trade:
    """The two trade places; `back`: again as before."""

    database: Database
    swap: Swap
    back: bool = False

    def preview(self) -> tuple[str, ...]:
        names = self.swap.live, self.swap.new, self.swap.old
        return self.database.beside.preview("swap_back" if self.back else "swap", *names)

    def run(self, session: Session) -> None:
        began = session.clock.monotonic()
        (self.database.beside.swap_back if self.back else self.database.beside.swap)(session, self.swap)
        seconds = session.clock.monotonic() - began
        session.say(f"{self.swap.live} took no connections for at most {seconds:.1f} s")
        comment = self.database.beside.others(session).get(self.swap.new, "") if self.back else ""
        if said := kept.SAYS.match(comment):
            session.say(f"{self.swap.new} is kept until {said[1]}, with what was committed while it was live")


def save(database: Database, backup: str, by: str, release: str) -> Stage:
    """The live database as it is now, whatever becomes of the restore."""
    clear = Step("clear", Clear(backup), deadline=ASK_SECONDS)
    step = Step("back up", Save(database, backup, by, release), undo=clear, deadline=3 * database.backups.within)
    return Stage("safety backup", (Lane(CONTROLLER, (step,)),))


def beside(action: Bring) -> Stage:
    """Nothing that serves is touched."""
    undo = Step("drop", Drop(action.database, action.name), deadline=ASK_SECONDS)
    step = Step("restore beside", action, undo=undo, deadline=3 * action.database.backups.within + ASK_SECONDS)
    return Stage("restore", (Lane(CONTROLLER, (step,)),))


def away(
    site: Inventory, places: tuple[Placement, ...], page: Page, gate: Gate, *, closed: bool = False
) -> tuple[Stage, ...]:
    """Nobody asks, and nothing works, with the database any more. `closed`: a page is up, and not ours to change."""
    closing = Step("close", Close(site.balancer, page), undo=Step("open", Open(site.balancer)), deadline=ASK_SECONDS)
    stop = tuple(Lane(place.host.name, (_stop(place, gate),)) for place in places)
    return (
        *((Stage("close", (Lane(CONTROLLER, (closing,)),)),) if _has_page(site, places, closed) else ()),
        *((Stage("stop", stop),) if stop else ()),
    )


def trade(database: Database, swap: Swap) -> Stage:
    undo = Step("swap back", Trade(database, swap, back=True), deadline=ASK_SECONDS)
    return Stage("swap", (Lane(CONTROLLER, (Step("swap", Trade(database, swap), undo=undo, deadline=ASK_SECONDS),)),))


def again(
    site: Inventory, places: tuple[Placement, ...], page: Page, gate: Gate, *, closed: bool = False
) -> tuple[Stage, ...]:
    """What was stopped runs, is held to its gate, and then everybody comes back; `closed`: they stay away."""
    if not places:
        return ()
    start = tuple(Lane(place.host.name, (_start(place, gate),)) for place in places)
    first = places[0]
    seen = gate.at(Target(first.host.name, first.slot, first.release, via="balancer"), probes=("health",))
    closing = Step("close", Close(site.balancer, page), deadline=ASK_SECONDS)
    opening = Step("open", Open(site.balancer), gate=seen, undo=closing, deadline=ASK_SECONDS)
    return (
        Stage("start", start),
        *((Stage("open", (Lane(CONTROLLER, (opening,)),)),) if _has_page(site, places, closed) else ()),
    )


def _has_page(site: Inventory, places: tuple[Placement, ...], closed: bool) -> bool:
    return site.balancer.can_drain and bool(places) and not closed


def foreign(migrations: tuple[Mapping[str, object], ...], known: frozenset[str]) -> tuple[str, ...]:
    """Migrations of the backup that are not `known`, by the names that their tool's table has for them."""
    ran = (row for row in migrations if not row.get("rolled_back_at"))
    names = (next((str(row[key]) for key in NAMES if row.get(key)), "") for row in ran)
    return tuple(sorted({name for name in names if name and name not in known}))


def _stop(place: Placement, gate: Gate) -> Step:
    return Step(
        "stop",
        OnHost(services.stop(place)),
        undo=replace(_start(place, gate), undo=None),
        deadline=services.patience(place),
    )


def _start(place: Placement, gate: Gate) -> Step:
    aimed = gate.at(Target(place.host.name, place.slot, place.release))
    deadline = services.patience(place)
    stop = Step("stop", OnHost(services.stop(place)), deadline=deadline)
    return Step("start", OnHost(services.start(place)), gate=aimed, undo=stop, deadline=deadline)
