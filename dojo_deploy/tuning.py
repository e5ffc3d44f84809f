"""The seam to a database that is tuned: what is seen of it, and the few things that are done to it while it serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

LEAST_ROOM, COPIES = 16 << 20, 3  # bytes; an index, its sort on disk, and its WAL
LONG = 5.0  # seconds that a statement may run before it is worth a line


@dataclass(frozen=True)
class Table:
    """`name` is quoted and qualified, as it can be typed. `rows` is the planner's estimate; -1: never analysed."""

    oid: int
    name: str
    rows: int = -1
    size: int = 0  # bytes, without indexes
    dead: int = 0  # rows that a vacuum would clear away
    analysed: bool = True
    is_partitioned: bool = False
    owned: bool = True  # the role may change it
    may_vacuum: bool = True


@dataclass(frozen=True)
class Index:
    """`name` and `table` as they can be typed; `shape` is the server's own text from USING on."""

    oid: int
    name: str
    table: str
    table_oid: int
    size: int = 0
    is_valid: bool = True
    is_unique: bool = False
    is_exclusion: bool = False  # which no server rebuilds concurrently
    owned: bool = True
    shape: str = ""

    @property
    def schema(self) -> str:
        return _parts(self.name)[0]

    @property
    def bare(self) -> str:
        """Its own name, as the catalogue has it."""
        return _parts(self.name)[1]


@dataclass(frozen=True)
class Draft:
    """An index as somebody asked for it. Of `columns` each is a name, an expression (one of both), and an order."""

    table: tuple[str, str]  # schema, or empty for the first on the search path, and name
    columns: tuple[tuple[str, str, str], ...]
    name: str
    method: str = "btree"
    is_unique: bool = False
    include: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Drafted:
    """What the server made of a draft: `sql` is the statement, `room` the bytes that building it may need."""

    table: Table
    index: str  # quoted and qualified
    shape: str
    is_unique: bool
    sql: str
    room: int


@dataclass(frozen=True)
class Work:
    """One statement that no transaction may hold, on one table; ours come one after the other on each."""

    sql: str
    table: int  # oid
    within: float  # seconds, ended by the server itself
    lock_within: float  # for each lock that it waits for
    throttle: int = 0  # of a vacuum: cost limit per 2 ms; 0: none


@dataclass(frozen=True)
class Client:
    """One session. `seconds` since it is in its state; `query` may hold anything that users typed."""

    pid: int
    began: str  # UTC with microseconds: with the pid it is this session and no later one
    application: str
    user: str
    address: str
    state: str
    seconds: float
    query: str = ""
    waits_for: str = ""
    blocked_by: tuple[int, ...] = ()


@dataclass(frozen=True)
class Counted:
    """Clients that are alike; `oldest` in seconds since they are in that state."""

    application: str
    user: str
    state: str
    count: int
    oldest: float


@dataclass(frozen=True)
class Connections:
    """`limit` is what clients may have, without what the server keeps for superusers; `background` are no clients."""

    limit: int
    reserved: int
    used: int
    background: int
    hidden: int  # clients of which the role may not see the state
    leaked_after: float  # seconds
    counted: tuple[Counted, ...]
    leaks: tuple[Client, ...]


@dataclass(frozen=True)
class Statement:
    """One row of pg_stat_statements; times in milliseconds, `hits` the part of blocks that were in memory."""

    query: str
    calls: int
    total: float
    mean: float
    rows: int
    hits: float | None


@dataclass(frozen=True)
class Slow:
    """`source`: where `statements` come from; empty where nobody counts them, and `why`."""

    source: str
    why: str
    statements: tuple[Statement, ...]
    running: tuple[Client, ...]  # what runs for long, what waits for another, and what is waited for


class Tuning(Protocol):
    """Reads and work on a database that serves. Raises DatabaseError, RefusedError, TransportError.

    LostError: whether `work` came to its end is not known; `busy` and `indexes` say it later.
    """

    def explain(self, session: Session, query: str, *, analyze: bool, writes: bool, json: bool, within: float) -> str:
        """The plan of one statement, in a transaction that is rolled back, and that cannot write unless it `writes`."""

    def slow(self, session: Session, *, top: int) -> Slow: ...

    def connections(self, session: Session) -> Connections: ...

    def end(self, session: Session, client: Client) -> bool:
        """Ends that very session if it still is a leak; False when it is none any more. Returns when it is gone."""

    def table(self, session: Session, name: tuple[str, str]) -> Table:
        """Raises RefusedError when there is none that the role may change."""

    def tables(self, session: Session) -> tuple[Table, ...]:
        """All that are not the system's."""

    def indexes(self, session: Session, table: int = 0) -> tuple[Index, ...]:
        """Of one table, or of all that are not the system's; invalid ones too."""

    def drafted(self, session: Session, draft: Draft) -> Drafted:
        """Tried on an empty copy of the table in a transaction that is rolled back."""

    def room(self, session: Session) -> int | None:
        """Free bytes where the database lies; None where nobody can tell."""

    def busy(self, session: Session, table: int) -> bool:
        """Whether a session of ours works on the table now, also one whose controller is gone."""

    def work(self, session: Session, work: Work) -> bool:
        """Does it; False when another session of ours was at it. What fails may leave an invalid index."""

    def drop_invalid(self, session: Session, index: Index, *, lock_within: float) -> bool:
        """Without a lock on the table's rows; False for one that is valid, gone, or being built: that stays."""

    def progress(self, session: Session, table: int) -> str:
        """How far it is, in a few words; empty when nothing is at work."""

    def cancel(self, session: Session, table: int) -> None:
        """Asks what works there for us to stop."""

    def in_the_way(self, session: Session) -> str:
        """The oldest transactions, for people: who waits for them, waits for their end."""


def room_for(size: int) -> int:
    """Bytes of disk that building an index of so many may take for a while."""
    return COPIES * max(LEAST_ROOM, size)


def _parts(name: str) -> tuple[str, str]:
    """Schema and name, without the quotes that the server put around them."""
    schema, bare = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return _bare(*schema), _bare(*bare)


def _bare(quoted: str, plain: str) -> str:
    return quoted.replace('""', '"') or plain
