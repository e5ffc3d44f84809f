"""Is what lies in the store what was dumped, and does it come back? `verify` and `drill`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO

from dojo_deploy.backups import catalogue, kept
from dojo_deploy.backups.catalogue import Backup
from dojo_deploy.backups.manifest import Manifest, Part, Proof
from dojo_deploy.backups.measured import Measured, Tapped, Tell
from dojo_deploy.clock import utc
from dojo_deploy.database import Contents, Database, Dump
from dojo_deploy.errors import BackupError, DamagedError, DojoError, RefusedError
from dojo_deploy.interfaces import Session

MB = 1_000_000
RESTARTED_WITHIN = 60.0  # seconds
SHOWN = 5  # tables with a wrong count, in a message


def verify(session: Session, database: Database, backup: Backup, *, tell: Tell) -> Manifest:
    """Reads all of a backup again. Raises DamagedError when it is not what the manifest says, or cannot be read."""
    manifest = whole(backup)
    read_back(session, database, manifest, tell=tell)
    return manifest


def read_back(session: Session, database: Database, manifest: Manifest, *, tell: Tell) -> None:
    """Every stored byte goes through sha256 here and through the database's own reader there."""
    with dumped(session, manifest, "verified", tell) as dump:
        database.read_through(session, dump)
    with stored(session, manifest.id, catalogue.GLOBALS, manifest.globals):
        pass


def drill(session: Session, database: Database, backup: Backup, *, by: str, tell: Tell) -> Proof:
    """Restores into a scratch database, counts, and writes the proof beside the backup: `wrong` says what is.

    Raises RefusedError when the server is older than the dump or the disk too small, and BackupError when it could not
    be restored here and now, whatever it is worth: then a proof that there is stays.
    """
    manifest, clock = whole(backup), session.clock
    start = clock.monotonic()
    server = database.look(session)
    if _major(server.version) < _major(manifest.server):
        raise RefusedError(f"{backup.id} was dumped from {manifest.server}, and the server here is {server.version}")
    refuse_full(session, database, manifest)
    contents = Contents()
    wrong: tuple[str, ...] = ()
    with _scratch(session, database) as name:
        try:
            with dumped(session, manifest, "restored", tell) as dump:
                contents = database.restore(session, dump, name)
            wrong = differences(manifest, contents)
        except DamagedError as exc:
            wrong = (": ".join([exc.message, *exc.hint.splitlines()[:1]]),)
    seconds = round(clock.monotonic() - start, 3)
    proof = Proof(backup.id, utc(clock.now()), seconds, by, manifest.dump.sha256, dict(contents.rows), wrong)
    session.store.put(catalogue.key(backup.id, catalogue.PROOF), proof.encoded())
    return proof


def refuse_full(session: Session, database: Database, manifest: Manifest) -> None:
    """Raises RefusedError: restored beside the live database, it could take the disk from it."""
    free = database.tuning.room(session)
    if free is not None and free < manifest.live_size:
        raise RefusedError(
            f"{manifest.id} may take {manifest.live_size / MB:,.0f} MB of disk, and {free / MB:,.0f} are free",
            hint=f"make room where {database.name} lies; `database.data` names a folder there",
        )


def whole(backup: Backup) -> Manifest:
    """Its manifest. Raises DamagedError for one that cannot be read."""
    if backup.manifest is None:
        raise DamagedError(f"{backup.id}: {backup.damage or 'its manifest is gone'}")
    return backup.manifest


@contextmanager
def dumped(session: Session, manifest: Manifest, what: str, tell: Tell) -> Iterator[Dump]:
    """A backup's dump to read; `what` is told to be done with it. As `stored`."""
    part = manifest.dump
    with stored(session, manifest.id, catalogue.DUMP, part, partial(tell, what, total=part.size)) as stream:
        yield Dump(stream, part.size, manifest.format)


@contextmanager
def stored(
    session: Session, backup: str, name: str, part: Part, tell: Callable[[int], None] = lambda _: None
) -> Iterator[BinaryIO]:
    """A stored object to read; after the block all of it has been hashed. Raises DamagedError.

    A BackupError of the block is the object's own fault when it is not what was written.
    """
    key, measured = catalogue.key(backup, name), Measured(tell)
    with session.store.outgoing(key) as source:
        if source is None:
            raise DamagedError(f"{key} is not in the store")
        tapped = Tapped(source, measured)
        unreadable: BackupError | None = None
        try:
            try:
                yield tapped
            except BackupError as exc:
                unreadable = exc
            tapped.finish()
        except OSError:
            if tapped.error:
                raise tapped.error from None
            raise
    if (measured.size, measured.sha256) != (part.size, part.sha256):
        size = f"{measured.size} of {part.size} bytes" if measured.size != part.size else f"all {part.size} bytes"
        raise DamagedError(f"{key} is not what was written: {size}, and another sha256") from unreadable
    if unreadable:
        raise unreadable


@contextmanager
def _scratch(session: Session, database: Database) -> Iterator[str]:
    name = kept.name_of(database.name, "drill", kept.stamp(session.clock.now()))  # another's must not be dropped
    try:
        yield name
    except BaseException:
        with suppress(DojoError):  # `prune` drops it
            drop(session, database, name)
        raise
    drop(session, database, name)


def drop(session: Session, database: Database, name: str) -> None:
    """Drops what was restored on trial. A disk that it has filled may have ended the server, which then comes back."""
    until = session.clock.monotonic() + RESTARTED_WITHIN
    while True:
        try:
            return database.drop_scratch(session, name)
        except BackupError:
            if session.clock.monotonic() >= until:
                raise
        session.clock.sleep(1.0, session.cancelled)


def differences(manifest: Manifest, contents: Contents) -> tuple[str, ...]:
    """In words, what came back otherwise than it went."""
    tables = sorted({*manifest.rows, *contents.rows})
    wrong = [
        f"{table}: {contents.rows.get(table, 'no such table')} of {manifest.rows.get(table, 0)} rows"
        for table in tables
        if contents.rows.get(table) != manifest.rows.get(table)
    ]
    more = [f"and {len(wrong) - SHOWN} more tables"] if len(wrong) > SHOWN else []
    for what in ("constraints", "indexes"):
        came, went = getattr(contents, what), getattr(manifest, what)
        if came != went:
            more.append(f"{came} of {went} {what}")
    return (*wrong[:SHOWN], *more)


def _major(version: str) -> int:
    return int(version.partition(".")[0])
