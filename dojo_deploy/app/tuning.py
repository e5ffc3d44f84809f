"""The database looked at and tuned while it serves, as functions; what changes it is a run: locked, told, resumable."""

from __future__ import annotations

from collections.abc import Callable

from dojo_deploy.app.drafts import Wanted, drafted_from
from dojo_deploy.app.pressure import Pressure, pressure
from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError, DatabaseError, RefusedError
from dojo_deploy.interfaces import Session, Strategy
from dojo_deploy.migrations import fragments
from dojo_deploy.plan import Plan
from dojo_deploy.runs.begin import look_and_plan, site_lanes
from dojo_deploy.runs.conduct import Result, conduct
from dojo_deploy.runs.which import present
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.steps.concurrently import Patience, refuse_small, size, tuned
from dojo_deploy.steps.tuning import leftovers
from dojo_deploy.strategies.tuning import Ending, Indexing, Leak, Reindexing, Stored, Vacuuming
from dojo_deploy.tuning import Index, Slow, Table, room_for

LEAST_DEAD, DEAD_PART = 1000, 0.1  # rows, and of all rows: what is worth a vacuum
Change = Callable[[Session], Strategy | str]


def explain(
    inventory: Site = None, query: str = "", *, analyze: bool = False, json: bool = False, within: float = 30.0
) -> str:
    """How one statement would be carried out; with `analyze` it is, and rolled back. `within` in seconds.

    Without `analyze`, and for one that only reads, the transaction cannot write. Raises ConfigError for more than one
    statement or one that cannot be explained, DatabaseError for what the server says, its deadline included.
    """
    writes = fragments.writes(query)
    with opening(inventory) as session:
        return tuned(session).explain(session, query, analyze=analyze, writes=writes, json=json, within=within)


def slow(inventory: Site = None, *, top: int = 10) -> Slow:
    """What takes the server's time: statements as pg_stat_statements counts them, and what runs or waits just now."""
    with opening(inventory) as session:
        return tuned(session).slow(session, top=top)


def connections(inventory: Site = None) -> Pressure:
    """Who is connected, what is forgotten, and whether the application's pools fit."""
    with opening(inventory) as session:
        return pressure(session.inventory, tuned(session).connections(session))


def run(inventory: Site, change: Change, *, wishes: Wishes | None = None) -> Result:
    """Looks, and carries the change out under the lock. Raises as `deploy`; nothing to do: the result says why."""
    with opening(inventory) as session:
        chosen = _chosen(session, change)
        if isinstance(chosen, str):
            return Result("", "nothing to do", reason=chosen)
        wishes = complete(session, wishes)
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def plan(inventory: Site, change: Change) -> Plan | str:
    """What `run` would do, or why there is nothing to do. Changes nothing, and takes no lock."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        chosen = _chosen(session, change)
        if isinstance(chosen, str):
            return chosen
        return look_and_plan(session, chosen, present, executor, platform=False)[1]


def indexing(wanted: Wanted, patience: Patience) -> Change:
    """A new index. Raises ConfigError, from here already, for what cannot be read."""
    draft = drafted_from(wanted)

    def choose(session: Session) -> Strategy | str:
        drafted = tuned(session).drafted(session, draft)
        free = tuned(session).room(session)
        there = next(
            (one for one in tuned(session).indexes(session, drafted.table.oid) if one.name == drafted.index), None
        )
        same = there and (there.shape, there.is_unique) == (drafted.shape, drafted.is_unique)
        if there and there.is_valid and same:
            return f"{drafted.index} is there, and valid"
        if there and there.is_valid:
            raise RefusedError(f"{drafted.index} is another index: {there.shape.strip()}", hint="--name another")
        refuse_small(free, drafted.room, drafted.index)
        left = (f"{drafted.index} is there and invalid: it is dropped first",) if there else ()
        notes = (*left, f"{drafted.table.name}: {size(drafted.table.size)}", _room(drafted.room, free))
        return Indexing(
            drafted.index,
            drafted.table.oid,
            drafted.shape,
            drafted.sql,
            drafted.is_unique,
            drafted.room,
            notes,
            patience,
        )

    return choose


def reindexing(*, index: str = "", table: str = "", everything: bool = False, patience: Patience) -> Change:
    """Rebuilds one index, those of a table, or all. Raises ConfigError unless it is exactly one of these."""
    if sum(map(bool, (index, table, everything))) != 1:
        raise ConfigError(
            "wants one of --index, --table and --all", hint="invoke db.reindex --index products_price_idx"
        )
    name = fragments.name(index, "index") if index else ("", "")
    of = fragments.name(table) if table else ("", "")

    def choose(session: Session) -> Strategy | str:
        oid = tuned(session).table(session, of).oid if table else 0
        found = tuned(session).indexes(session, oid)
        if index:
            found = _named(found, name)
        left = leftovers(found) if not index else leftovers(tuned(session).indexes(session, found[0].table_oid))
        chosen = [one for one in found if one not in left and one.owned and not one.is_exclusion]
        skipped = [one for one in found if one not in left and one not in chosen]
        if not chosen and not left:
            return "; ".join(_skipped(skipped)) or "there is no index"
        need = max((room_for(one.size) for one in chosen), default=0)
        free = tuned(session).room(session)
        refuse_small(free, need, "the largest of them")
        notes = (f"{len(chosen)} indexes, {size(sum(one.size for one in chosen))}", _room(need, free))
        return Reindexing(
            tuple(_stored(one) for one in chosen),
            tuple(_stored(one) for one in left),
            (*notes, *_skipped(skipped)),
            patience,
        )

    return choose


def vacuuming(*, table: str = "", everything: bool = False, throttle: int = 200, patience: Patience) -> Change:
    """Vacuums one table, all, or those that are worth it: a tenth of their rows dead, or never analysed."""
    name = fragments.name(table) if table else ("", "")

    def choose(session: Session) -> Strategy | str:
        found = (tuned(session).table(session, name),) if table else tuned(session).tables(session)
        mine = [one for one in found if one.may_vacuum]
        chosen = [one for one in mine if table or everything or _is_worth_it(one)]
        if not chosen:
            return "no table is worth it; --all vacuums every one" if mine else "the role may vacuum no table there"
        foreign = [f"not the role's own, so left out: {one.name}" for one in found if not one.may_vacuum]
        notes = (*(f"{one.name}: {one.dead:,} dead rows, {size(one.size)}" for one in chosen), *foreign)
        return Vacuuming(tuple(Stored(one.name, one.oid, 0) for one in chosen), throttle, notes, patience)

    return choose


def ending() -> Change:
    """Ends the sessions that `connections` calls leaks."""

    def choose(session: Session) -> Strategy | str:
        seen = tuned(session).connections(session)
        leaks = seen.leaks
        if not leaks:
            return f"no session is idle in a transaction for more than {seen.leaked_after:.0f} s"
        return Ending(
            tuple(Leak(one.pid, one.began, one.application, one.user, one.address, float(one.seconds)) for one in leaks)
        )

    return choose


def _chosen(session: Session, change: Change) -> Strategy | str:
    """Until here nothing was changed."""
    try:
        return change(session)
    except DatabaseError as exc:
        raise RefusedError(exc.message, hint=exc.hint) from exc


def _named(found: tuple[Index, ...], name: tuple[str, str]) -> tuple[Index, ...]:
    fits = tuple(one for one in found if one.bare == name[1] and name[0] in ("", one.schema))
    if len(fits) != 1:
        places = ", ".join(one.name for one in fits) or "none"
        raise RefusedError(f"{'.'.join(filter(None, name))!r} names {len(fits)} indexes: {places}")
    return fits


def _stored(index: Index) -> Stored:
    return Stored(index.name, index.table_oid, index.oid, index.size, room_for(index.size))


def _skipped(indexes: list[Index]) -> list[str]:
    return [
        f"{one.name} is left out: " + ("the role may not" if not one.owned else "no exclusion constraint is rebuilt so")
        for one in indexes
    ]


def _room(needed: int, free: int | None) -> str:
    if free is None:
        return f"it may take {size(needed)} of disk; how much is free, the role may not ask: see database.data"
    return f"it may take {size(needed)} of disk for a while, and {size(free)} are free"


def _is_worth_it(table: Table) -> bool:
    return table.dead >= max(LEAST_DEAD, DEAD_PART * table.rows) or (not table.analysed and table.size > 0)
