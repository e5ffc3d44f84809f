"""The database tuned while it serves: runs that leave the fleet alone, and are locked, told and resumed like others."""

# ruff: noqa: ARG002 - the protocol names the arguments

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER, Lane, Plan, Stage, Step
from dojo_deploy.release import Observed, Release
from dojo_deploy.steps import tuning
from dojo_deploy.steps.concurrently import Patience


@dataclass(frozen=True)
class Indexing:
    """Builds an index beside the writes: with its invalid namesake dropped first, as often as it takes."""

    release: ClassVar[str] = "present"
    leaves_fleet: ClassVar[bool] = True

    name: str
    table: int
    shape: str
    sql: str
    is_unique: bool = False
    room: int = 0
    notes: tuple[str, ...] = ()
    patience: Patience = Patience()

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        action = tuning.Build(self.name, self.table, self.shape, self.is_unique, self.sql, self.room, self.patience)
        return _plan("index", release, seen, [("index", [tuning.build(action)])], self.notes)


@dataclass(frozen=True)
class Stored:
    """An index as it was when it was chosen."""

    name: str
    table: int
    oid: int
    size: int = 0
    room: int = 0


@dataclass(frozen=True)
class Reindexing:
    """Rebuilds indexes, one after the other, each beside the one that serves meanwhile. What is rebuilt stays so."""

    release: ClassVar[str] = "present"
    leaves_fleet: ClassVar[bool] = True

    indexes: tuple[Stored, ...] = ()
    leftovers: tuple[Stored, ...] = ()
    notes: tuple[str, ...] = ()
    patience: Patience = Patience()

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        left = [
            Step(f"drop {one.name}", tuning.DropInvalid(one.name, one.table, self.patience), once=True)
            for one in self.leftovers
        ]
        fresh = [
            tuning.rebuild(tuning.Rebuild(one.name, one.table, one.oid, one.size, one.room, self.patience))
            for one in self.indexes
        ]
        return _plan("reindex", release, seen, [("leftovers", left), ("reindex", fresh)], self.notes)


@dataclass(frozen=True)
class Vacuuming:
    """Vacuums tables, one after the other. `throttle`: cost limit per 2 ms; 0: as fast as it goes."""

    release: ClassVar[str] = "present"
    leaves_fleet: ClassVar[bool] = True

    tables: tuple[Stored, ...] = ()
    throttle: int = 200
    notes: tuple[str, ...] = ()
    patience: Patience = Patience()

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        steps = [
            Step(
                f"vacuum {one.name}",
                tuning.Vacuum(one.name, one.table, self.throttle, self.patience),
                deadline=self.patience.within,
                once=True,
            )
            for one in self.tables
        ]
        return _plan("vacuum", release, seen, [("vacuum", steps)], self.notes)


@dataclass(frozen=True)
class Leak:
    """A session that its application has forgotten, as it was seen."""

    pid: int
    began: str
    application: str
    user: str
    address: str
    seconds: float


@dataclass(frozen=True)
class Ending:
    """Ends sessions that are idle in a transaction; none that has woken up meanwhile, none of ours, no replication."""

    release: ClassVar[str] = "present"
    leaves_fleet: ClassVar[bool] = True

    leaks: tuple[Leak, ...] = ()

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        steps = [
            Step(
                f"end process {one.pid}",
                tuning.End(one.pid, one.began, one.application, one.user, one.address, one.seconds),
                once=True,
            )
            for one in self.leaks
        ]
        note = f"{len(steps)} sessions, idle in their transactions: what those did is undone"
        return _plan("terminate", release, seen, [("terminate", steps)], (note,))


def _plan(
    name: str, release: Release, seen: Observed, stages: list[tuple[str, list[Step]]], notes: tuple[str, ...]
) -> Plan:
    made = tuple(Stage(title, (Lane(CONTROLLER, tuple(steps)),), phase="migrate") for title, steps in stages if steps)
    return Plan(name, release, made, slot=seen.live, notes=notes)
