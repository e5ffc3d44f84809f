"""Brings a backup back beside the live database: whole, counted, and as it was; or not at all."""

from __future__ import annotations

from dojo_deploy.backups.catalogue import Backup
from dojo_deploy.backups.check import differences, dumped, whole
from dojo_deploy.backups.measured import Tell
from dojo_deploy.database import Contents, Database
from dojo_deploy.errors import DamagedError
from dojo_deploy.interfaces import Session


def bring(session: Session, database: Database, backup: Backup, name: str, *, sha256: str, tell: Tell) -> Contents:
    """A new database called `name`, marked as whole. One that an earlier attempt left is made anew.

    `sha256`: of the dump that is meant. Raises DamagedError: it is another one, or what is stored is not what was
    dumped, or what came back is not what had been there.
    """
    manifest = whole(backup)
    if manifest.dump.sha256 != sha256:
        raise DamagedError(f"{backup.id} is not what it was when the restore was planned")
    database.drop_scratch(session, name)
    with dumped(session, manifest, "restored", tell) as dump:
        contents = database.beside.bring_back(session, dump, name, manifest.properties)
    if wrong := differences(manifest, contents):
        raise DamagedError(f"what came back is not what had been there: {'; '.join(wrong)}")
    database.beside.approve(session, name)
    return contents


def given_up(now: Contents, then: Contents) -> tuple[str, ...]:
    """In words, what the live database has and the backup has not, table by table."""
    found = []
    for table in sorted({*now.rows, *then.rows}):
        live, kept = now.rows.get(table), then.rows.get(table)
        if kept is None:
            found.append(f"{table}: all of it, {live:,} rows; the backup has no such table")
        elif live is None:
            found.append(f"{table}: comes back with {kept:,} rows")
        elif live != kept:
            found.append(f"{table}: {live:,} rows now, {kept:,} in the backup ({kept - live:+,})")
    return tuple(found)
