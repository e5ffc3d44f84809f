"""What the program can do about backups, as functions; the tasks end here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dojo_deploy.app.sites import Site, opening
from dojo_deploy.backups import alarm, catalogue, check, create, retention
from dojo_deploy.backups.catalogue import Backup, Catalogue
from dojo_deploy.backups.manifest import Manifest, Proof
from dojo_deploy.backups.retention import Verdict
from dojo_deploy.database import Database
from dojo_deploy.engine import ledger
from dojo_deploy.engine.holder import Holder
from dojo_deploy.errors import ConfigError
from dojo_deploy.session import OpenSession

Tell = Callable[[str, int], None]
UNFINISHED_SECONDS = 86400.0  # what is younger may be a backup that is being made


@dataclass(frozen=True)
class Pruned:
    """`verdicts` on every backup, newest first; `leftovers` of backups that were never finished."""

    verdicts: tuple[Verdict, ...]
    leftovers: tuple[str, ...]
    done: bool

    @property
    def goes(self) -> tuple[Backup, ...]:
        return tuple(verdict.backup for verdict in self.verdicts if not verdict.why)


@dataclass(frozen=True)
class Health:
    """`alarms`: what somebody has to look at; none when all is well."""

    newest: Backup | None
    proven: Backup | None
    alarms: tuple[str, ...]


def back_up(inventory: Site = None, *, tell: Tell = lambda *_: None) -> Manifest:
    """A new backup of the inventory's database, read back from the store before it counts.

    Raises BackupError, LostError or StoreError: there is no new backup, and nothing of one in the store.
    """
    with _opened(inventory) as (session, database):
        return create.create(session, database, by=_who(), release=_serving(session), tell=tell)


def listed(inventory: Site = None) -> Catalogue:
    """Every backup there is, newest first."""
    with _opened(inventory) as (session, _):
        return catalogue.read(session.store)


def verify(inventory: Site = None, *, backup: str = "", tell: Tell = lambda *_: None) -> Manifest:
    """Reads a backup (the newest) to its end, here for its sha256 and there by pg_restore. Raises DamagedError."""
    with _opened(inventory) as (session, database):
        return check.verify(session, database, catalogue.read(session.store).find(backup), tell=tell)


def drill(inventory: Site = None, *, backup: str = "", tell: Tell = lambda *_: None) -> Proof:
    """Restores a backup (the newest) into a scratch database beside the live one, compares, and writes the proof."""
    with _opened(inventory) as (session, database):
        found = catalogue.read(session.store).find(backup)
        return check.drill(session, database, found, by=_who(), tell=tell)


def prune(inventory: Site = None, *, confirmed: bool = False) -> Pruned:
    """Which backups may go, and, `confirmed`, removes them. The manifest goes first: half a backup is none."""
    with _opened(inventory) as (session, database):
        found = catalogue.read(session.store)
        old = session.clock.now() - UNFINISHED_SECONDS
        leftovers = tuple(key for key in found.leftovers if catalogue.began(key.split("/")[1]) < old)
        pruned = Pruned(retention.judge(found.backups, database.backups), leftovers, confirmed)
        if confirmed:
            for backup in pruned.goes:
                for part in (catalogue.MANIFEST, catalogue.PROOF, catalogue.DUMP, catalogue.GLOBALS):
                    session.store.delete(catalogue.key(backup.id, part))
            for key in leftovers:
                session.store.delete(key)
        return pruned


def health(inventory: Site = None) -> Health:
    """Whether there is a backup to rely on, now."""
    with _opened(inventory) as (session, database):
        found = catalogue.read(session.store).backups
        proven = next((backup for backup in found if backup.is_proven), None)
        return Health(
            found[0] if found else None,
            proven,
            alarm.alarms(found, database.backups, now=session.clock.now()),
        )


@contextmanager
def _opened(inventory: Site) -> Iterator[tuple[OpenSession, Database]]:
    with opening(inventory) as session:
        site = session.inventory
        if site.database is None:
            raise ConfigError("no database", where=site.path, key="database", hint="{kind: postgres, name: …, host: …}")
        yield session, site.database


def _who() -> str:
    return str(Holder.here())


def _serving(session: OpenSession) -> str:
    record = ledger.read_record(session.store)
    passed = [known for known in record.releases if known.passed and not known.bad]
    return max(passed, key=lambda known: known.passed).id if passed else ""
