"""Where backups lie in the store, and which there are."""

from __future__ import annotations

import calendar
import secrets
import time
from dataclasses import dataclass

from dojo_deploy.backups.manifest import Manifest, Proof
from dojo_deploy.errors import DamagedError, RefusedError, StoreError
from dojo_deploy.interfaces import Store

PREFIX = "backups/"
DUMP, GLOBALS, MANIFEST, PROOF = "database.dump", "globals.sql", "manifest.json", "proof.json"
BEGUN = "begun.json"  # who makes it; the first to be written, and the last to go
MOMENT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Backup:
    """A backup that exists. `damage`: its manifest cannot be read, so nothing of it is known but its id."""

    id: str
    manifest: Manifest | None
    proof: Proof | None = None
    damage: str = ""

    @property
    def began(self) -> float:
        """Seconds since 1970, from its id."""
        return began(self.id)

    @property
    def is_proven(self) -> bool:
        """By a drill of the very dump that is there."""
        if self.proof is None or self.manifest is None:
            return False
        return not self.proof.wrong and self.proof.sha256 == self.manifest.dump.sha256


@dataclass(frozen=True)
class Catalogue:
    """`backups` newest first; `leftovers`: objects of backups that were never finished."""

    backups: tuple[Backup, ...] = ()
    leftovers: tuple[str, ...] = ()

    def find(self, backup: str) -> Backup:
        """By id or the beginning of one; empty: the newest. Raises RefusedError."""
        found = [each for each in self.backups if each.id.startswith(backup)]
        if not found or (backup and len(found) > 1):
            known = ", ".join(each.id for each in (found or self.backups)[:5]) or "there is none; invoke backup.create"
            raise RefusedError(f"{'no' if not found else 'more than one'} backup {backup}".rstrip(), hint=known)
        return found[0]


def new_id(now: float) -> str:
    """Unique, and in order of time."""
    return f"{time.strftime(MOMENT, time.gmtime(now))}-{secrets.token_hex(3)}"


def began(backup: str) -> float:
    """Seconds since 1970. Raises ValueError for what is no id of ours."""
    return float(calendar.timegm(time.strptime(backup.partition("-")[0], MOMENT)))


def key(backup: str, part: str) -> str:
    return f"{PREFIX}{backup}/{part}"


def read(store: Store) -> Catalogue:
    """Everything there is. Raises StoreError."""
    keys = [name.removeprefix(PREFIX).partition("/") for name in store.list(PREFIX)]
    parts: dict[str, set[str]] = {}
    for backup, _, part in keys:
        if _is_id(backup):
            parts.setdefault(backup, set()).add(part)
    whole = sorted((backup for backup, found in parts.items() if MANIFEST in found), reverse=True)
    left = tuple(key(backup, part) for backup in sorted(set(parts) - set(whole)) for part in sorted(parts[backup]))
    return Catalogue(tuple(_backup(store, backup, PROOF in parts[backup]) for backup in whole), left)


def _backup(store: Store, backup: str, proven: bool) -> Backup:
    try:
        found = store.get(key(backup, MANIFEST))
        proof = store.get(key(backup, PROOF)) if proven else None
        manifest = Manifest.decoded(found.data) if found else None
        return Backup(backup, manifest, Proof.decoded(proof.data) if proof else None)
    except DamagedError as exc:
        return Backup(backup, None, damage=exc.message)
    except StoreError as exc:
        if "damaged" not in exc.message:
            raise
        return Backup(backup, None, damage=exc.message)


def _is_id(text: str) -> bool:
    try:
        return bool(began(text))
    except ValueError:
        return False
