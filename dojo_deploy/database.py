"""The seam to a database, and what is known of one: its server, its contents, how long its backups are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.streams import Sink
    from dojo_deploy.tuning import Tuning

HOUR = 3600.0


@dataclass(frozen=True)
class Backups:
    """Keys of `database.backups`. Durations in seconds.

    Kept is the newest of each of so many days, ISO weeks and months (UTC) that have one.
    """

    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    at_least: int = 3  # whatever the others say
    stale_after: float = 26 * HOUR  # a newest one that is older is an alarm
    shrunk_below: float = 0.5  # of the median of those before it: an alarm
    proven_within: float = 8 * 24 * HOUR  # a newest drill that is older is an alarm
    within: float = 6 * HOUR  # for each pass over the whole database: dump, read, restore
    locked_for: float = 7 * 24 * HOUR  # nobody can destroy a backup so long, where the store has Object Lock; 0: off


@dataclass(frozen=True)
class Server:
    """`identity` is the same for a cluster and its copies, and for no other; `size` is the database's, in bytes."""

    identity: str
    version: str
    tools: str  # version of the programs that dump and restore
    size: int
    is_superuser: bool
    properties: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the database itself: owner, locale, grants, settings


@dataclass(frozen=True)
class Contents:
    """What a database, or a dump of it, holds: counted in one snapshot."""

    rows: Mapping[str, int] = field(default_factory=dict)  # schema.table -> rows, exactly
    constraints: int = 0
    indexes: int = 0
    migrations: tuple[Mapping[str, Any], ...] = ()  # rows of the migration tool's table


@dataclass(frozen=True)
class Dump:
    """One that is read again. `format`: pg_dump's `custom` one, or its `directory`, packed by tar."""

    stream: BinaryIO
    size: int
    format: str = "custom"

    @property
    def is_packed(self) -> bool:
        return self.format == "directory"


@dataclass(frozen=True)
class Swap:
    """Two databases that trade places: `new` becomes `live`, and what was `live` becomes `old`, kept until `until`."""

    live: str
    new: str
    old: str
    until: str  # UTC
    comment: str = ""  # that `new` gets as the live one
    is_alone: bool = False  # there was no `live`
    kept_until: str = ""  # `new` is what an earlier swap kept so long


class Beside(Protocol):
    """Databases beside the live one. Raises as `Database`."""

    def count(self, session: Session) -> Contents:
        """What the live database holds now."""

    def others(self, session: Session) -> Mapping[str, str]:
        """Every database of the server: name -> its comment, which says of ours what they are."""

    def lacking(self, session: Session, properties: Mapping[str, Any]) -> tuple[str, ...]:
        """Roles that a database with these properties wants, and the server does not have."""

    def bring_back(self, session: Session, dump: Dump, name: str, properties: Mapping[str, Any]) -> Contents:
        """As `restore`, but as it was: with its owners, grants, settings and locale, and with fresh statistics.

        Raises DamagedError for a bad dump; what was begun is left to `drop_scratch`.
        """

    def approve(self, session: Session, name: str) -> None:
        """Marks what `bring_back` made as whole, and found so."""

    def swap(self, session: Session, swap: Swap) -> None:
        """Blocks new connections to `live`, ends those that there are, and trades places, at once or not at all.

        Repeatable. Raises BackupError: nothing was renamed, but `live` may take no connections.
        """

    def swap_back(self, session: Session, swap: Swap) -> None:
        """As before `swap`, whatever of it was done; what was live meanwhile is kept, as `new`. Repeatable.

        A `swap` that takes effect later than this does nothing. Raises BackupError for a state that is neither.
        """

    def drop_kept(self, session: Session, name: str) -> None:
        """Removes what a swap left as `old`, and nothing else. Repeatable."""

    def preview(self, verb: str, *names: str) -> tuple[str, ...]:
        """What `dump`, `bring_back`, `swap`, `swap_back`, `drop_scratch` would run, line by line."""


class Database(Protocol):
    """Runs the database's own programs on a host, over its kept connection.

    Each call raises TransportError (LostError: how it ended is not known), or BackupError with what was said.
    """

    backups: Backups
    pool: int  # connections that each process of the application may open

    @property
    def tuning(self) -> Tuning:
        """What is seen of it and done to it while it serves."""

    @property
    def name(self) -> str: ...

    @property
    def format(self) -> str:
        """Of the dumps that it makes now: see `Dump`."""

    def look(self, session: Session) -> Server:
        """Also when there is no such database: then it has size 0 and no properties.

        Raises RefusedError when the programs are not of the server's own major version.
        """

    def dump(self, session: Session, into: Sink) -> Contents:
        """A whole dump, and what it holds, in the very same snapshot. Returns only when the dump said it was well."""

    def globals(self, session: Session, server: Server) -> bytes:
        """Roles and their memberships, without passwords where they may not be read."""

    def read_through(self, session: Session, dump: Dump) -> None:
        """Reads a dump to its end, as a restore would. Raises DamagedError."""

    def restore(self, session: Session, dump: Dump, name: str) -> Contents:
        """Restores into a new, marked database called `name`, and counts. Raises DamagedError for a bad dump."""

    def drop_scratch(self, session: Session, name: str) -> None:
        """Removes what `restore` or `bring_back` made, and nothing else. Repeatable."""

    @property
    def beside(self) -> Beside:
        """What is done beside the live database, and in its place."""
