"""Makes a backup: dump into the store, read back what lies there, and only then the manifest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from dojo_deploy.backups import catalogue
from dojo_deploy.backups.check import read_back
from dojo_deploy.backups.manifest import Manifest, Part
from dojo_deploy.backups.measured import Measured
from dojo_deploy.clock import utc
from dojo_deploy.database import Database
from dojo_deploy.errors import BackupError, ConflictError, StoreError
from dojo_deploy.interfaces import Session

Tell = Callable[[str, int], None]  # what is being done, bytes so far


def create(session: Session, database: Database, *, by: str, release: str, tell: Tell) -> Manifest:
    """A verified backup. Whatever is raised before its end, there is none, and no object of it stays.

    Raises:
        BackupError, DamagedError: what the programs said, or what lies in the store is not what was dumped.
        LostError: the connection went away; nothing was published.
        StoreError: the store did not take or give it.
    """
    clock = session.clock
    start, moment = clock.monotonic(), clock.now()
    backup = catalogue.new_id(moment)
    server = database.look(session)
    dumped, roles = Measured(partial(tell, "dumped")), Measured()
    try:
        with session.store.incoming(catalogue.key(backup, catalogue.DUMP)) as sink:
            contents = database.dump(session, dumped.into(sink))
        with session.store.incoming(catalogue.key(backup, catalogue.GLOBALS)) as sink:
            roles.into(sink)(database.globals(session, server))
        manifest = Manifest(
            id=backup,
            database=database.name,
            identity=server.identity,
            server=server.version,
            client=server.tools,
            began=utc(moment),
            seconds=0.0,
            by=by,
            release=release,
            live_size=server.size,
            dump=Part(dumped.size, dumped.sha256),
            globals=Part(roles.size, roles.sha256),
            rows=dict(contents.rows),
            constraints=contents.constraints,
            indexes=contents.indexes,
            migrations=contents.migrations,
            role_passwords=server.is_superuser,
        )
        read_back(session, database, manifest, tell=tell)
        return _published(session, manifest, clock.monotonic() - start)
    except BaseException:
        with suppress(StoreError):  # what cannot be removed now is what `prune` finds; the manifest goes first
            for part in (catalogue.MANIFEST, catalogue.DUMP, catalogue.GLOBALS):
                session.store.delete(catalogue.key(backup, part))
        raise


def _published(session: Session, manifest: Manifest, seconds: float) -> Manifest:
    manifest = replace(manifest, seconds=round(seconds, 3))
    try:
        session.store.put(catalogue.key(manifest.id, catalogue.MANIFEST), manifest.encoded(), absent=True)
    except ConflictError as exc:
        raise BackupError(f"there is a backup {manifest.id} already") from exc
    return manifest
