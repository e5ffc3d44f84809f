"""What is wrong with the backups as they are, and whether one of them can be relied on. Pure."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence

from dojo_deploy.backups.catalogue import Backup
from dojo_deploy.database import HOUR, Backups

COMPARED = 7  # backups before the newest, for the median of their sizes


def alarms(backups: Sequence[Backup], settings: Backups, *, now: float) -> tuple[str, ...]:
    """In words, worst first; none when all is well. `backups` newest first, `now` in seconds since 1970."""
    from statistics import median  # and with it decimals and fractions, which no run should wait for

    sound = [backup for backup in backups if backup.manifest]
    found = [f"{backup.id} is damaged: {backup.damage}" for backup in backups if not backup.manifest]
    if not sound:
        return ("there is no backup", *found)
    age = now - sound[0].began
    if age > settings.stale_after:
        found.insert(0, f"the newest backup is {age / HOUR:.0f} hours old, not {settings.stale_after / HOUR:.0f}")
    sizes = [backup.manifest.dump.size for backup in sound if backup.manifest]
    before = sizes[1 : COMPARED + 1]
    if before and sizes[0] < settings.shrunk_below * (middle := median(before)):
        found.append(f"the newest backup has {sizes[0]:,} bytes, and those before it {middle:,.0f}")
    return (*found, *_unproven(sound, settings, now))


def proven(backups: Sequence[Backup], database: str, *, within: float, now: float) -> Backup | None:
    """The newest backup of `database` that a drill has proven and that began less than `within` seconds ago, or None.

    What is older, never drilled, or failed its last drill, is nothing to fall back on. `now` in seconds since 1970.
    """
    mine = [backup for backup in backups if backup.manifest and backup.manifest.database == database]
    fit = [backup for backup in mine if backup.is_proven and now - backup.began < within]
    return max(fit, key=lambda backup: backup.began, default=None)


def _unproven(sound: Sequence[Backup], settings: Backups, now: float) -> tuple[str, ...]:
    drilled = [backup for backup in sound if backup.proof]
    failed = [backup for backup in drilled if backup.proof and backup.proof.wrong]
    wrong = tuple(
        f"the drill of {backup.id} failed: {'; '.join(backup.proof.wrong)}" for backup in failed[:1] if backup.proof
    )
    proven = [backup.proof.at for backup in drilled if backup.is_proven and backup.proof]
    if not proven:
        return (*wrong, "no backup was ever proven; invoke backup.drill")
    age = now - max(map(_seconds, proven))
    if age > settings.proven_within:
        return (*wrong, f"the last drill that passed was {age / HOUR / 24:.0f} days ago")
    return wrong


def _seconds(moment: str) -> float:
    return float(calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")))
