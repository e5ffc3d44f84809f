"""Which backups to keep: grandfather, father, son. Pure."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dojo_deploy.backups.catalogue import Backup
from dojo_deploy.database import Backups

DAY, WEEK, MONTH = "%Y-%m-%d", "%G-W%V", "%Y-%m"


@dataclass(frozen=True)
class Verdict:
    """`why` it is kept; empty: it goes."""

    backup: Backup
    why: tuple[str, ...] = ()


def judge(backups: Sequence[Backup], settings: Backups, *, needed: Collection[str] = ()) -> tuple[Verdict, ...]:
    """A verdict on each of `backups`, in their order: newest first.

    The newest is always kept, and so are the last proven one and those that are `needed`, by id. One whose manifest is
    damaged is kept, and counts for nothing: what it is has to be looked into by somebody. One that failed its drill
    stands for its day, week or month only where there is no other.
    """
    sound = [backup for backup in backups if backup.manifest]
    why: dict[str, list[str]] = {backup.id: [] for backup in backups}
    for pattern, count, name in (
        (DAY, settings.daily, "day"),
        (WEEK, settings.weekly, "week"),
        (MONTH, settings.monthly, "month"),
    ):
        for period, backup in list(_newest(sound, pattern).items())[:count]:
            why[backup.id].append(f"{name} {period}")
    _mark(why, sound[: max(1, settings.at_least)], "one of the newest")
    _mark(why, [backup for backup in sound if backup.is_proven][:1], "the last proven")
    _mark(why, [backup for backup in backups if backup.id in needed], "a run that has not ended needs it")
    _mark(why, [backup for backup in backups if not backup.manifest], "damaged: look at it")
    return tuple(Verdict(backup, tuple(why[backup.id])) for backup in backups)


def _newest(backups: Sequence[Backup], pattern: str) -> dict[str, Backup]:
    """The newest backup of each period, newest period first."""
    found: dict[str, Backup] = {}
    for backup in backups:
        period = time.strftime(pattern, time.gmtime(backup.began))
        if period not in found or (_failed(found[period]) and not _failed(backup)):
            found[period] = backup
    return found


def _failed(backup: Backup) -> bool:
    return backup.proof is not None and bool(backup.proof.wrong)


def _mark(why: dict[str, list[str]], backups: Sequence[Backup], word: str) -> None:
    for backup in backups:
        why[backup.id].append(word)
