"""Reads what a script says between its marks: bytes to pass on, then its status and its words."""

from __future__ import annotations

import io
import threading
from typing import BinaryIO

from dojo_deploy.databases.postgres_scripts import ENDED
from dojo_deploy.databases.rows import complaint
from dojo_deploy.errors import BackupError, ConfigError, LostError
from dojo_deploy.secrets import Secret
from dojo_deploy.streams import Sink

NOISE = 64 << 10  # of a login shell, before the first mark
WORDS = 16 << 20  # after the last one


class Framed:
    """Takes output as it comes; the bytes between the marks go to `into`. `mark` is unguessable."""

    def __init__(self, mark: str, into: Sink) -> None:
        self._mark = mark.encode("ascii")
        self._into = into
        self._held = bytearray()
        self._begun = False
        self._tail: bytearray | None = None
        self.over = threading.Event()

    def feed(self, data: bytes) -> None:
        if self._tail is not None:
            self._tail += data[: max(0, WORDS - len(self._tail))]
            return
        self._held += data
        if not self._begun:
            _, found, rest = bytes(self._held).partition(self._mark + b"\n")
            self._held = bytearray(rest if found else self._held[-NOISE:])
            self._begun = bool(found)
        if self._begun:
            self._pass_on()

    @property
    def status(self) -> int | None:
        """What the script's work ended with; None when it did not say so."""
        line = bytes(self._tail or b"").partition(b"\n")[0]
        return int(line) if line.isdigit() else None

    @property
    def words(self) -> str:
        return bytes(self._tail or b"").partition(b"\n")[2].decode("utf-8", "backslashreplace")

    def _pass_on(self) -> None:
        end = b"\n" + self._mark + b" "
        at = self._held.find(end)
        if at >= 0:
            self._tail = self._held[at + len(end) :]
            self._give(bytes(self._held[:at]))
            self._held.clear()
            self.over.set()
        elif len(self._held) >= len(end):
            cut = len(self._held) - len(end) + 1
            self._give(bytes(self._held[:cut]))
            del self._held[:cut]

    def _give(self, data: bytes) -> None:
        if data:
            self._into(data)


def first_line(password: Secret | None) -> bytes:
    """Of a script's standard input."""
    value = password.reveal() if password else ""
    if "\n" in value:
        raise ConfigError("the database's password has more than one line", key="database.password")
    return f"{value}\n".encode()


def refuse_unanswered(heard: Framed, name: str, host: str) -> None:
    """Raises for SQL that did not come to its end: LostError, where nobody knows how far it came, or BackupError."""
    if heard.status in ENDED:
        raise LostError(f"psql was ended before {name} had answered ({heard.status})", host=host)
    if heard.status:
        raise BackupError(f"{name} on {host} did not answer", hint=complaint(heard.words))


class Answered(io.RawIOBase, BinaryIO):
    """Standard input of a script: its first line, and its end once all that it said has been taken."""

    def __init__(self, first: bytes, over: threading.Event) -> None:
        self._first = first
        self._over = over

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002
        first, self._first = self._first, b""
        if not first:
            self._over.wait()
        return first
