"""What is left of backups that were never finished: objects without a manifest, parts without an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from dojo_deploy.backups import catalogue
from dojo_deploy.interfaces import Session

STALE_SECONDS = 86400.0  # what is younger may be a backup that somebody elsewhere is making
IsOver = Callable[[Mapping[str, Any]], bool]  # whether the process that made it is known to be gone


def remove(session: Session, backup: str) -> None:
    """Nothing is left of a backup, whatever there is of it. The manifest goes first: half a backup is none."""
    for part in (catalogue.MANIFEST, catalogue.PROOF, catalogue.DUMP, catalogue.GLOBALS):
        session.store.delete(catalogue.key(backup, part))
    session.store.abandon(catalogue.key(backup, ""))
    session.store.delete(catalogue.key(backup, catalogue.BEGUN))


def left(session: Session, *, is_over: IsOver) -> tuple[str, ...]:
    """Ids of what nobody goes on with: its maker is gone, or it began more than a day ago."""
    ids = dict.fromkeys(name.split("/")[1] for name in catalogue.read(session.store).leftovers)
    old = session.clock.now() - STALE_SECONDS
    return tuple(each for each in ids if catalogue.began(each) < old or _is_over(session, each, is_over))


def _is_over(session: Session, backup: str, is_over: IsOver) -> bool:
    found = session.store.get(catalogue.key(backup, catalogue.BEGUN))
    if found is None:  # the first to be written, and the last to go: of a removal, or of a backup that is whole now
        return session.store.get(catalogue.key(backup, catalogue.MANIFEST)) is None
    with suppress(ValueError):
        return is_over(dict(json.loads(found.data)))
    return False
