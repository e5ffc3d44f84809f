"""Databases that a restore left, by what their comments say: kept until a day, or begun and never finished. Pure."""

from __future__ import annotations

import calendar
import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

SAYS = re.compile(r"kept by dojo_deploy until (\S+): ")
MADE = re.compile(r"made by dojo_deploy from a backup")
NAMED = re.compile(r"(.*)_(old|undone|restore|drill)_(\d{8}t\d{6}z)(?:_[0-9a-f]{4})?")
STAMP = "%Y%m%dt%H%M%Sz"
LONGEST = 63  # bytes of a name
SUFFIX = 30  # of `_restore_`, a moment and what tells two of the same second apart
DIGEST = 7  # of a long name, as it is cut off


@dataclass(frozen=True)
class Kept:
    """What was live before a restore, or during one that was undone. `until` in UTC."""

    name: str
    until: str

    @property
    def was_undone(self) -> bool:
        found = NAMED.fullmatch(self.name)
        return found is not None and found[2] == "restore"

    def is_due(self, now: str) -> bool:
        return now >= self.until


def stamp(now: float) -> str:
    """For names of what is made `now`, in seconds since 1970: nobody else makes one of the same."""
    return f"{time.strftime(STAMP, time.gmtime(now))}_{secrets.token_hex(2)}"


def name_of(database: str, word: str, stamp: str) -> str:
    """`shop_restore_20261127t201800z_ab12`, of no more bytes than a name may have."""
    return f"{_head(database)}_{word}_{stamp.lower()}"


def kept(others: Mapping[str, str], database: str) -> tuple[Kept, ...]:
    """Of `database`, the newest first. `others`: every database of the server, and its comment."""
    found = [Kept(name, said[1]) for name, comment in others.items() if (said := SAYS.match(comment))]
    return tuple(sorted((one for one in found if _is_of(one.name, database)), key=_moment, reverse=True))


def forgotten(others: Mapping[str, str], database: str, *, before: float) -> tuple[str, ...]:
    """Those that a killed restore or drill left beside `database`, made `before`, in seconds since 1970."""
    mine = [name for name, comment in others.items() if MADE.match(comment) and _is_of(name, database)]
    return tuple(sorted(name for name in mine if _seconds(name) < before))


def _head(database: str) -> str:
    """A long name is cut off; what was cut off must not make it another's."""
    data = database.encode()
    if len(data) <= LONGEST - SUFFIX:
        return database
    digest = hashlib.sha256(data).hexdigest()[: DIGEST - 1]
    return data[: LONGEST - SUFFIX - DIGEST].decode("utf-8", "ignore") + f"_{digest}"


def _is_of(name: str, database: str) -> bool:
    found = NAMED.fullmatch(name)
    return found is not None and found[1] == _head(database)


def _moment(one: Kept) -> str:
    found = NAMED.fullmatch(one.name)
    return found[3] if found else ""


def _seconds(name: str) -> float:
    """When it was made, by its name."""
    found = NAMED.fullmatch(name)
    return float(calendar.timegm(time.strptime(found[3], STAMP))) if found else 0.0
