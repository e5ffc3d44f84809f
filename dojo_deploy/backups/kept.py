"""Databases that a restore left, by what their comments say: kept until a day, or begun and never finished. Pure."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

SAYS = re.compile(r"kept by dojo_deploy until (\S+): ")
MADE = re.compile(r"made by dojo_deploy from a backup")
STAMP = "%Y%m%dt%H%M%Sz"


@dataclass(frozen=True)
class Kept:
    """What was live before a restore. `until` in UTC."""

    name: str
    until: str

    def is_due(self, now: str) -> bool:
        return now >= self.until


def kept(others: Mapping[str, str], database: str) -> tuple[Kept, ...]:
    """Of `database`, the newest first. `others`: every database of the server, and its comment."""
    found = [Kept(name, said[1]) for name, comment in others.items() if (said := SAYS.match(comment))]
    return tuple(sorted((one for one in found if _is_of(one.name, database)), key=_moment, reverse=True))


def forgotten(others: Mapping[str, str], database: str, *, before: float) -> tuple[str, ...]:
    """Those that a killed restore or drill left beside `database`, made `before`, in seconds since 1970."""
    mine = [name for name, comment in others.items() if MADE.match(comment)]
    mine = [name for name in mine if name.startswith("dojo_drill_") or _is_of(name, database)]
    return tuple(sorted(name for name in mine if _seconds(name) < before))


def _is_of(name: str, database: str) -> bool:
    found = re.fullmatch(r"(.*)_(old|undone|restore)_\d{8}t\d{6}z", name)
    return bool(found) and database.startswith(found[1])  # type: ignore[index]


def _moment(one: Kept) -> str:
    return one.name.rpartition("_")[2]


def _seconds(name: str) -> float:
    """When it was made, by its name; of a drill, when its backup was: that is no later."""
    found = re.search(r"\d{8}t\d{6}z", name)
    return float(calendar.timegm(time.strptime(found[0], STAMP))) if found else 0.0
