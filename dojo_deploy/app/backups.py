"""What the program can do about backups, as functions; the tasks end here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dojo_deploy.app.sites import Site, opening
from dojo_deploy.backups import alarm, catalogue, check, create, kept, retention, unfinished
from dojo_deploy.backups.catalogue import Backup, Catalogue
from dojo_deploy.backups.kept import Kept
from dojo_deploy.backups.manifest import Manifest, Proof
from dojo_deploy.backups.measured import CHUNK, Tell
from dojo_deploy.backups.retention import Verdict
from dojo_deploy.clock import utc
from dojo_deploy.database import Database
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.holder import Holder
from dojo_deploy.errors import ConfigError
from dojo_deploy.session import OpenSession


def silent(what: str, size: int, /, *, total: int = 0) -> None:
    """For whom nothing is to be told."""


@dataclass(frozen=True)
class Pruned:
    """`verdicts` on every backup, newest first; `leftovers`: ids of backups that were never finished."""

    verdicts: tuple[Verdict, ...]
    leftovers: tuple[str, ...]
    done: bool
    kept: tuple[Kept, ...] = ()  # databases that were live, before a restore or during one
    dropped: tuple[str, ...] = ()  # databases that go: those of `kept` that are due, and what killed restores left

    @property
    def goes(self) -> tuple[Backup, ...]:
        return tuple(verdict.backup for verdict in self.verdicts if not verdict.why)


@dataclass(frozen=True)
class Health:
    """`alarms`: what somebody has to look at; none when all is well."""

    newest: Backup | None
    proven: Backup | None
    alarms: tuple[str, ...]


def back_up(inventory: Site = None, *, tell: Tell = silent) -> Manifest:
    """A new backup of the inventory's database, read back from the store before it counts.

    Raises BackupError, LostError or StoreError: there is no new backup, and nothing of one in the store.
    """
    with database_of(inventory) as (session, database):
        spoken_for = _open_run(session)
        for left in unfinished.left(session, is_over=_is_over):
            if left not in spoken_for:
                unfinished.remove(session, left)
        maker = Holder.here()
        return create.create(
            session, database, by=str(maker), release=serving(session), tell=tell, maker=maker.as_dict()
        )


def listed(inventory: Site = None) -> Catalogue:
    """Every backup there is, newest first."""
    with database_of(inventory) as (session, _):
        return catalogue.read(session.store)


def verify(inventory: Site = None, *, backup: str = "", tell: Tell = silent) -> Manifest:
    """Reads a backup (the newest) to its end, here for its sha256 and there by pg_restore. Raises DamagedError."""
    with database_of(inventory) as (session, database):
        return check.verify(session, database, catalogue.read(session.store).find(backup), tell=tell)


def roles(inventory: Site = None, *, backup: str = "") -> str:
    """The SQL that makes the roles of a backup (the newest) on a new server. As secret as their passwords.

    Raises DamagedError when it is not what was written.
    """
    with database_of(inventory) as (session, _):
        found = catalogue.read(session.store).find(backup)
        part = check.whole(found).globals
        with check.stored(session, found.id, catalogue.GLOBALS, part) as source:
            return b"".join(iter(lambda: source.read(CHUNK), b"")).decode("utf-8", "backslashreplace")


def drill(inventory: Site = None, *, backup: str = "", tell: Tell = silent) -> Proof:
    """Restores a backup (the newest) into a scratch database beside the live one, compares, and writes the proof."""
    with database_of(inventory) as (session, database):
        found = catalogue.read(session.store).find(backup)
        return check.drill(session, database, found, by=str(Holder.here()), tell=tell)


def prune(inventory: Site = None, *, confirmed: bool = False) -> Pruned:
    """Which backups may go, and, `confirmed`, removes them. The manifest goes first: half a backup is none.

    What a run that has not ended speaks of stays, however old.
    """
    with database_of(inventory) as (session, database):
        found = catalogue.read(session.store)
        others, now = database.beside.others(session), session.clock.now()
        known = kept.kept(others, database.name)
        old = kept.forgotten(others, database.name, before=now - unfinished.STALE_SECONDS)
        spoken_for = _open_run(session)
        leftovers = tuple(each for each in unfinished.left(session, is_over=_is_over) if each not in spoken_for)
        due = tuple(one.name for one in known if one.is_due(utc(now)) and one.name not in spoken_for)
        lost = tuple(name for name in old if name not in spoken_for)
        needed = [backup.id for backup in found.backups if backup.id in spoken_for]
        verdicts = retention.judge(found.backups, database.backups, needed=needed)
        pruned = Pruned(verdicts, leftovers, confirmed, known, (*due, *lost))
        if confirmed:
            for name in (*(backup.id for backup in pruned.goes), *leftovers):
                unfinished.remove(session, name)
            for name in due:
                database.beside.drop_kept(session, name)
            for name in lost:
                database.drop_scratch(session, name)
        return pruned


def health(inventory: Site = None) -> Health:
    """Whether there is a backup to rely on, now."""
    with database_of(inventory) as (session, database):
        found = catalogue.read(session.store).backups
        proven = next((backup for backup in found if backup.is_proven), None)
        return Health(
            found[0] if found else None,
            proven,
            alarm.alarms(found, database.backups, now=session.clock.now()),
        )


@contextmanager
def database_of(inventory: Site) -> Iterator[tuple[OpenSession, Database]]:
    """An open session on an inventory, and its database. Raises ConfigError."""
    with opening(inventory) as session:
        site = session.inventory
        if site.database is None:
            raise ConfigError("no database", where=site.path, key="database", hint="{kind: postgres, name: …, host: …}")
        yield session, site.database


def _open_run(session: OpenSession) -> str:
    """All that was written down of the run that has not ended; empty: there is none."""
    entry = lock.read(session.store)
    header = ledger.find_header(session.store, entry.open) if entry and entry.open else None
    return json.dumps([header.strategy, header.plan]) if header else ""


def _is_over(maker: Mapping[str, Any]) -> bool:
    return bool(maker) and Holder.from_dict(maker).is_dead()


def serving(session: OpenSession) -> str:
    """The release that passed its gates last, by the record."""
    record = ledger.read_record(session.store)
    passed = [known for known in record.releases if known.passed and not known.bad]
    return max(passed, key=lambda known: known.passed).id if passed else ""
