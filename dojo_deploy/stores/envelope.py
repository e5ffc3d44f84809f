"""How an object lies in a store: one line that makes each write unlike any other, then the data.

    dojo-store/1 WRITE-ID ETAG SIZE

The write id is random, so writing A, B and A again gives three versions, also where a store's own version is a hash of
the content. ETAG covers write id and data, so damage is noticed. An object that was uploaded from a file has no such
line: its bytes are the file's, and who needs to verify it keeps its sha256.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from dojo_deploy.errors import ConfigError, StoreError
from dojo_deploy.interfaces import Stored

MAGIC = b"dojo-store/1 "
LONGEST_LINE = 160
_LINE = re.compile(rb"dojo-store/1 ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9]+)\n")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Sealed:
    """Data ready to be written; `etag` is unlike that of any other write."""

    etag: str
    raw: bytes


def seal(data: bytes) -> Sealed:
    write = uuid.uuid4().hex.encode()
    etag = _etag(write, data)
    return Sealed(etag, b"%s%s %s %d\n" % (MAGIC, write, etag.encode(), len(data)) + data)


def unseal(key: str, raw: bytes) -> Stored:
    """What was written. Raises StoreError when it is not whole."""
    line = _LINE.match(raw)
    if not line:
        return Stored(raw, f"file-{hashlib.sha256(raw).hexdigest()}")
    write, etag, size = line.groups()
    data = raw[line.end() :]
    if len(data) != int(size) or _etag(write, data) != etag.decode():
        raise StoreError(f"{key} is damaged in the store: {len(data)} bytes of {int(size)}, or not those written")
    return Stored(data, etag.decode())


def etag_of(head: bytes) -> str:
    """The etag in an object's first bytes; empty for one that was uploaded from a file."""
    line = _LINE.match(head)
    return line[2].decode() if line else ""


def length_of(head: bytes) -> int:
    """How many bytes the line takes that `head` begins with; 0 for an uploaded file."""
    line = _LINE.match(head)
    return line.end() if line else 0


def checked(key: str) -> str:
    """`key`, if it can be a key in every store: no empty, hidden or parent parts, no characters to quote."""
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{key!r} cannot be a key of a store", hint="letters, digits, . _ - between slashes")
    return key


def is_key(text: str) -> bool:
    """False for what a store keeps for itself: lock files, unfinished writes, probes."""
    return bool(_KEY.fullmatch(text))


def _etag(write: bytes, data: bytes) -> str:
    return hashlib.sha256(write + b"\0" + data).hexdigest()
