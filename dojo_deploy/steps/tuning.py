"""What is done to a database that serves, as steps: an index built, rebuilt, a table vacuumed, a session ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.errors import DatabaseError
from dojo_deploy.plan import Step
from dojo_deploy.steps.concurrently import Patience, persist, refuse_small, settle, tuned
from dojo_deploy.tuning import Client, Index, Work

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

LEFT = re.compile(r"(.*)_cc(?:new|old)\d*", re.DOTALL)
LONGEST = 63  # bytes of a name; of a longer one the end is cut before `_ccnew` is put behind it
STOPPED_WITHIN = 60.0  # for what was asked to stop


@dataclass(frozen=True)
class Build:
    """Builds an index that is not there, or there and invalid. `name` and `sql` are the server's own words."""

    name: str
    table: int
    shape: str
    is_unique: bool
    sql: str
    room: int
    patience: Patience

    def preview(self) -> tuple[str, ...]:
        return (*_limits(self.patience), self.sql)

    def run(self, session: Session) -> None:
        def found() -> Index | None:
            return next((one for one in tuned(session).indexes(session, self.table) if one.name == self.name), None)

        def is_done() -> bool:
            one = found()
            if one and one.is_valid and (one.shape, one.is_unique) != (self.shape, self.is_unique):
                raise DatabaseError(f"{self.name} is another index meanwhile: {one.shape.strip()}")
            return bool(one and one.is_valid)

        def clean() -> None:
            one = found()
            if one:
                session.say(f"{self.name} is there and invalid: dropped first")
                drop(session, one, self.patience)
            refuse_small(tuned(session).room(session), self.room, self.name)

        work = Work(self.sql, self.table, self.patience.within, self.patience.lock_within)
        persist(session, work, self.patience.tries, is_done=is_done, clean=clean)


@dataclass(frozen=True)
class Rebuild:
    """Rebuilds one index beside itself. `oid` is that of the old one: with another it was rebuilt already."""

    name: str
    table: int
    oid: int
    size: int
    room: int
    patience: Patience

    @property
    def sql(self) -> str:
        return f"REINDEX INDEX CONCURRENTLY {self.name}"

    def preview(self) -> tuple[str, ...]:
        return (*_limits(self.patience), self.sql)

    def run(self, session: Session) -> None:
        tuning = tuned(session)

        def is_done() -> bool:
            found = {one.name: one for one in tuning.indexes(session, self.table)}
            if self.name not in found:
                raise DatabaseError(f"{self.name} is gone")
            return found[self.name].oid != self.oid and found[self.name].is_valid

        def clean() -> None:
            for one in leftovers(tuning.indexes(session, self.table), self.name):
                session.say(f"{one.name} is what an earlier attempt left: dropped first")
                drop(session, one, self.patience)
            refuse_small(tuning.room(session), self.room, self.name)

        work = Work(self.sql, self.table, self.patience.within, self.patience.lock_within)
        persist(session, work, self.patience.tries, is_done=is_done, clean=clean)


@dataclass(frozen=True)
class DropInvalid:
    """Drops the index `name` if it is invalid, or, `rebuilt`, what a rebuild left of it; asks what is at it to stop."""

    name: str
    table: int
    patience: Patience
    rebuilt: bool = False

    def preview(self) -> tuple[str, ...]:
        what = f"what rebuilding {self.name} left" if self.rebuilt else self.name
        return (f"DROP INDEX CONCURRENTLY {what}, where it is invalid",)

    def run(self, session: Session) -> None:
        tuning = tuned(session)
        if tuning.busy(session, self.table):
            tuning.cancel(session, self.table)
        settle(session, self.table, within=STOPPED_WITHIN)
        found = tuning.indexes(session, self.table)
        mine = leftovers(found, self.name) if self.rebuilt else tuple(one for one in found if one.name == self.name)
        for one in mine:
            if one.is_valid:
                session.say(f"{one.name} is valid, and stays")
            else:
                drop(session, one, self.patience)


@dataclass(frozen=True)
class Vacuum:
    """Clears one table of dead rows, slowly, and counts it for the planner; never FULL, which shuts everybody out."""

    name: str
    table: int
    throttle: int
    patience: Patience

    @property
    def sql(self) -> str:
        # Giving the empty end of the file back takes a lock that every reader would wait behind.
        return f"VACUUM (ANALYZE, TRUNCATE FALSE) {self.name}"

    def preview(self) -> tuple[str, ...]:
        slow = (f"SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = {self.throttle}",) if self.throttle else ()
        return (*_limits(self.patience), *slow, self.sql)

    def run(self, session: Session) -> None:
        work = Work(self.sql, self.table, self.patience.within, self.patience.lock_within, self.throttle)
        persist(session, work, self.patience.tries)


@dataclass(frozen=True)
class End:
    """Ends one session, if it still is what it was when it was seen: idle in its transaction, forgotten."""

    pid: int
    began: str
    application: str
    user: str
    address: str
    seconds: float

    def preview(self) -> tuple[str, ...]:
        who = f"{self.application or self.user} at {self.address}, idle in a transaction for {self.seconds:.0f} s"
        return (f"SELECT pg_terminate_backend({self.pid})  -- {who}",)

    def run(self, session: Session) -> None:
        client = Client(self.pid, self.began, self.application, self.user, self.address, "", self.seconds)
        ended = tuned(session).end(session, client)
        session.say(f"process {self.pid}: {'ended' if ended else 'not idle in that transaction any more: let alone'}")


def build(action: Build) -> Step:
    """Undone by dropping what is invalid: an index that is valid is what was asked for."""
    undo = Step("drop if invalid", DropInvalid(action.name, action.table, action.patience))
    return Step(f"build {action.name}", action, undo=undo, deadline=action.patience.within, once=True)


def rebuild(action: Rebuild) -> Step:
    """Undone by dropping what is left beside it; a new index is as good as the old one, and stays."""
    undo = Step("drop what is left", DropInvalid(action.name, action.table, action.patience, rebuilt=True))
    return Step(f"rebuild {action.name}", action, undo=undo, deadline=action.patience.within, once=True)


def leftovers(found: tuple[Index, ...], of: str = "") -> tuple[Index, ...]:
    """Invalid ones that rebuilding left; those of one index (its name as it can be typed), or all."""
    bare = Index(0, of, "", 0).bare if of else ""
    return tuple(
        one for one in found if not one.is_valid and (match := LEFT.fullmatch(one.bare)) and _fits(match, bare)
    )


def drop(session: Session, index: Index, patience: Patience) -> None:
    """Raises DatabaseError for one that is left, and invalid: it costs every write, and serves nobody."""
    tuning = tuned(session)
    try:
        if tuning.drop_invalid(session, index, lock_within=patience.lock_within):
            return
    except DatabaseError as exc:
        hint = f"the same command again, or DROP INDEX CONCURRENTLY {index.name}; {tuning.in_the_way(session)}"
        raise DatabaseError(f"{index.name} is left invalid: {exc.message}", passes=exc.passes, hint=hint) from exc
    if any(one.oid == index.oid and not one.is_valid for one in tuning.indexes(session, index.table_oid)):
        raise DatabaseError(
            f"{index.name} is invalid and being worked on", passes=True, hint="somebody else builds an index there"
        )


def _fits(match: re.Match[str], bare: str) -> bool:
    cut = len(match[0].encode()) >= LONGEST - 3 and bare.startswith(match[1])
    return not bare or match[1] == bare or cut


def _limits(patience: Patience) -> tuple[str, ...]:
    lock, whole = patience.lock_within, patience.within
    return (f"SET lock_timeout = '{lock:g}s'; SET statement_timeout = '{whole:g}s'",)
