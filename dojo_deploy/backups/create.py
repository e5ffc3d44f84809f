"""Makes a backup: dump into the store, read back what lies there, and only then the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from dojo_deploy.backups import catalogue, unfinished
from dojo_deploy.backups.check import read_back
from dojo_deploy.backups.manifest import Manifest, Part
from dojo_deploy.backups.measured import Measured, Tell
from dojo_deploy.clock import utc
from dojo_deploy.database import Database
from dojo_deploy.errors import BackupError, ConflictError, StoreError
from dojo_deploy.interfaces import Session


def create(
    session: Session,
    database: Database,
    *,
    by: str,
    release: str,
    tell: Tell,
    backup: str = "",
    maker: Mapping[str, Any] | None = None,
) -> Manifest:
    """A verified backup. Whatever is raised before its end, there is none, and no object of it stays.

    `backup`: its id, if that was chosen before. `maker`: the process, for those who find what it left behind.

    Raises:
        BackupError, DamagedError: what the programs said, or what lies in the store is not what was dumped.
        LostError: the connection went away; nothing was published.
        StoreError: the store did not take or give it.
    """
    clock, keep = session.clock, database.backups.locked_for
    start, moment = clock.monotonic(), clock.now()
    backup = backup or catalogue.new_id(moment)
    server = database.look(session)
    expected = _expected(session, database)
    session.store.put(catalogue.key(backup, catalogue.BEGUN), json.dumps(maker or {}).encode())
    dumped, roles = Measured(partial(tell, "dumped", total=expected)), Measured()
    try:
        with session.store.incoming(catalogue.key(backup, catalogue.DUMP), keep=keep) as sink:
            contents = database.dump(session, dumped.into(sink))
        with session.store.incoming(catalogue.key(backup, catalogue.GLOBALS), keep=keep) as sink:
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
            format=database.format,
            dump=Part(dumped.size, dumped.sha256),
            globals=Part(roles.size, roles.sha256),
            rows=dict(contents.rows),
            constraints=contents.constraints,
            indexes=contents.indexes,
            migrations=contents.migrations,
            role_passwords=server.is_superuser,
            properties=server.properties,
        )
        read_back(session, database, manifest, tell=tell)
        manifest = _published(session, manifest, clock.monotonic() - start, keep)
    except BaseException:
        with suppress(StoreError):  # what cannot be removed now is what `prune` finds; the manifest goes first
            unfinished.remove(session, backup)
        raise
    with suppress(StoreError):
        session.store.delete(catalogue.key(backup, catalogue.BEGUN))
    return manifest


def _expected(session: Session, database: Database) -> int:
    """Bytes that the dump may have, by the one before; 0: nobody knows."""
    found = next((each.manifest for each in catalogue.read(session.store).backups if each.manifest), None)
    return found.dump.size if found and found.database == database.name else 0


def _published(session: Session, manifest: Manifest, seconds: float, keep: float) -> Manifest:
    manifest = replace(manifest, seconds=round(seconds, 3))
    key = catalogue.key(manifest.id, catalogue.MANIFEST)
    try:
        session.store.put(key, manifest.encoded(), absent=True, keep=keep)
    except ConflictError as exc:
        raise BackupError(f"there is a backup {manifest.id} already") from exc
    return manifest
