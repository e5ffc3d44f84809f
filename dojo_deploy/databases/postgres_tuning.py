"""PostgreSQL tuned while it serves: by psql on a host, over its kept connection."""

from __future__ import annotations

import io
import json as json_
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojo_deploy.databases import postgres_scripts
from dojo_deploy.databases import tuning_scripts as scripts
from dojo_deploy.databases.rows import complaint, rows, sets
from dojo_deploy.errors import DatabaseError, LostError, RefusedError
from dojo_deploy.tuning import (
    LONG,
    Client,
    Connections,
    Counted,
    Draft,
    Drafted,
    Index,
    Slow,
    Statement,
    Table,
    Work,
    room_for,
)

if TYPE_CHECKING:
    from dojo_deploy.databases.framed import Framed
    from dojo_deploy.interfaces import Session

ASK_SECONDS = 45.0
SLACK = 30.0
GONE_SECONDS = 15.0  # for a session that was told to end
NEW_CONNECTION, USER_ERROR = 2, 3  # psql's exit statuses
# 55P03 lock timeout, 40P01 deadlock, 57P0x the server ends the session, 08… the connection, 53300 too many of them.
PASSES = re.compile(r"55P03|40P01|57P0[1-3]|08...|53300")
SAID = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(?:([0-9A-Z]{5}): )?(.*)")
BESIDE = re.compile(r"^(?:psql:[^:]*:\d+: )?LOCATION: .*\n?", re.MULTILINE)
WARNED = re.compile(r"^(?:psql:[^:]*:\d+: )?WARNING: .*", re.MULTILINE)
# Of an index tuple: its header, its place in the page, and what is left free in pages that are not full.
TUPLE_BYTES, SPARE = 20, 1.25
INDEX = ("oid", "name", "table", "table_oid", "size", "is_valid", "is_unique", "is_exclusion", "owned", "shape")


@dataclass(frozen=True)
class PostgresTuning:
    """`run` is the adapter's own: a script, its words, and what it reads and says."""

    name: str
    host: str
    data: str
    leaked_after: float
    run: Callable[..., Framed]

    def explain(self, session: Session, query: str, *, analyze: bool, writes: bool, json: bool, within: float) -> str:
        shown = ("SETTINGS", f"FORMAT {'JSON' if json else 'TEXT'}", *(("ANALYZE", "BUFFERS") if analyze else ()))
        values = {"query": query, "options": ", ".join(shown), "within": f"{within * 1000:.0f}"}
        mode = "READ WRITE" if writes and analyze else "READ ONLY"
        found = self._ask(session, scripts.EXPLAIN, {**values, "mode": mode}, within=within + SLACK)
        return str(found["plan"][0][0]).rstrip("\n")

    def slow(self, session: Session, *, top: int) -> Slow:
        found = self._read(session, scripts.SLOW, {"top": str(top), "long": f"{LONG}"})
        version, loaded = found["source"][0]
        why = "pg_stat_statements is not among the extensions of this database"
        if version:
            why = f"pg_stat_statements {version} is older than 1.8" if loaded == "1" else "the server has not loaded it"
        statements = tuple(Statement(*row) for row in found.get("statement", ()))
        counted = version and loaded == "1" and (statements or "older" not in why)
        clients = tuple(_client(row) for row in found.get("running", ()))
        return Slow(f"pg_stat_statements {version}" if counted else "", "" if counted else why, statements, clients)

    def connections(self, session: Session) -> Connections:
        found = self._read(
            session, scripts.CONNECTIONS.replace("@LEAKED@", scripts.LEAKED), {"older": f"{self.leaked_after}"}
        )
        most, reserved, *others = found["limit"][0]
        used, background, hidden = found["used"][0]
        return Connections(
            limit=min([most - reserved, *(limit for limit in others if limit >= 0)]),
            reserved=reserved,
            used=used,
            background=background,
            hidden=hidden,
            leaked_after=self.leaked_after,
            counted=tuple(Counted(*row) for row in found.get("counted", ())),
            leaks=tuple(_client(row) for row in found.get("leak", ())),
        )

    def end(self, session: Session, client: Client) -> bool:
        values = {"pid": str(client.pid), "began": client.began, "older": f"{self.leaked_after}"}
        ended = self._ask(session, scripts.END, values).get("ended")
        deadline = session.clock.monotonic() + GONE_SECONDS
        while self._ask(session, scripts.STILL, values)["still"][0][0]:
            if not ended:
                return False
            if session.clock.monotonic() > deadline:
                raise DatabaseError(f"session {client.pid} was told to end, and is still there")
            session.clock.sleep(0.1)
        return bool(ended)

    def table(self, session: Session, name: tuple[str, str]) -> Table:
        found = self._read(session, scripts.TABLE, {"schema": name[0], "name": name[1]}).get("table")
        shown = ".".join(part for part in name if part)
        if not found:
            raise RefusedError(f"{self.name} has no table {shown!r}", hint="a name in capitals needs double quotes")
        (*row, kind, is_standby) = found[0]
        if is_standby:
            raise RefusedError(f"{self.name} is a standby: it is read only", hint="name the primary in `database`")
        if kind not in "rmp":
            raise RefusedError(f"{shown} is no table (relkind {kind})")
        return Table(*row)

    def tables(self, session: Session) -> tuple[Table, ...]:
        return tuple(Table(*row[:9]) for row in self._read(session, scripts.TABLES, {}).get("table", ()))

    def indexes(self, session: Session, table: int = 0) -> tuple[Index, ...]:
        found = self._read(session, scripts.INDEXES, {"table": str(table)})
        return tuple(Index(**dict(zip(INDEX, row, strict=True))) for row in found.get("index", ()))

    def drafted(self, session: Session, draft: Draft) -> Drafted:
        table = self.table(session, draft.table)
        if table.is_partitioned:
            raise RefusedError(
                f"{table.name} is partitioned, and no server builds an index on all partitions concurrently",
                hint="db.index on each partition, then CREATE INDEX … ON ONLY and ALTER INDEX … ATTACH PARTITION",
            )
        if not table.owned:
            raise RefusedError(f"the role may not change {table.name}: only its owner can index it")
        values = {
            "table": str(table.oid),
            "columns": json_.dumps(draft.columns),
            "include": json_.dumps(draft.include),
            "method": draft.method,
            "where": draft.where,
            "unique": "on" if draft.is_unique else "off",
            "index": draft.name,
        }
        index, sql, shape, width = self._ask(session, scripts.DRAFT, values)["drafted"][0]
        size = table.rows * (width + TUPLE_BYTES) * SPARE if draft.method == "btree" and table.rows >= 0 else table.size
        return Drafted(table, index, shape, draft.is_unique, sql, room_for(int(size)))

    def room(self, session: Session) -> int | None:
        free = self._read(session, scripts.ROOM, {"data": self.data})["free"][0][0]
        return int(free) * 1024 if str(free).isdigit() else None

    def busy(self, session: Session, table: int) -> bool:
        return bool(self._read(session, scripts.BUSY, {"table": str(table)})["busy"][0][0])

    def work(self, session: Session, work: Work) -> bool:
        values = {**_limits(work.within, work.lock_within), "table": str(work.table)}
        more = {"sql": work.sql, "throttle": str(work.throttle)}
        return "done" in self._ask(session, scripts.WORK, {**values, **more}, within=work.within + SLACK, strict=True)

    def drop_invalid(self, session: Session, index: Index, *, lock_within: float) -> bool:
        # Two waits for older transactions, and a moment for the work itself.
        values = {**_limits(3 * lock_within + SLACK, lock_within), "table": str(index.table_oid)}
        found = self._ask(
            session, scripts.DROP, {**values, "index": str(index.oid)}, within=3 * lock_within + 2 * SLACK
        )
        return "left" in found and not found["left"][0][0]

    def progress(self, session: Session, table: int) -> str:
        found = self._read(session, scripts.PROGRESS, {"table": str(table)}).get("progress")
        if not found:
            return ""
        phase, *counts, locker = found[0]
        done, total = (counts[2], counts[3]) if counts[3] else (counts[0], counts[1])
        part = f", {100 * done / total:.0f} %" if total else ""
        return f"{phase}{part}" + (f", process {locker} is in the way" if locker else "")

    def cancel(self, session: Session, table: int) -> None:
        self._ask(session, scripts.CANCEL, {"table": str(table)})

    def in_the_way(self, session: Session) -> str:
        return "; ".join(
            f"process {pid} of {application} ({state}) has a transaction that is {seconds:g} s old"
            for pid, application, state, seconds in self._read(session, scripts.IN_THE_WAY, {}).get("way", ())
        )

    def _read(self, session: Session, sql: str, values: Mapping[str, str]) -> dict[str, list[Any]]:
        return self._ask(session, f"{scripts.READ}{sql}ROLLBACK;\n", values)

    def _ask(
        self,
        session: Session,
        sql: str,
        values: Mapping[str, str],
        *,
        within: float = ASK_SECONDS,
        strict: bool = False,
    ) -> dict[str, list[Any]]:
        """Name -> rows. `strict`: a warning is a failure; a server that skips what it may not do says no more."""
        taken = bytearray()
        feed = io.BytesIO(f"{scripts.HEAD}{sets(values)}{sql}".encode())
        heard = self.run(session, postgres_scripts.ASK, self.name, stdin=feed, into=taken.extend, within=within)
        if heard.status in postgres_scripts.ENDED:
            raise LostError(f"psql was ended before {self.name} had answered ({heard.status})", host=self.host)
        warned = WARNED.search(heard.words) if strict else None
        if heard.status or warned:
            raise self._trouble(heard.status or 0, warned.group() if warned else heard.words)
        found: dict[str, list[Any]] = {}
        for name, row in rows(taken.decode("utf-8", "backslashreplace")):
            found.setdefault(name, []).append(row)
        return found

    def _trouble(self, status: int, words: str) -> DatabaseError:
        said = SAID.search(words)
        code, text = (said[1] or "", said[2]) if said else ("", complaint(words).strip())
        passes = bool(PASSES.fullmatch(code)) or (status == NEW_CONNECTION and "terminat" in words)
        more = BESIDE.sub("", words[said.end() :]).strip() if said else ""
        return DatabaseError(f"{self.name} on {self.host}: {text}", passes=passes, hint=more[-1000:])


def _client(row: list[Any]) -> Client:
    pid, began, application, user, address, state, seconds, query, *more = row
    waits_for, blocked_by = more or ("", ())
    return Client(pid, began, application, user, address, state, seconds, query or "", waits_for, tuple(blocked_by))


def _limits(within: float, lock_within: float) -> dict[str, str]:
    return {"within": f"{within * 1000:.0f}", "lock_within": f"{lock_within * 1000:.0f}"}
