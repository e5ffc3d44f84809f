"""Counts and hashes what flows by."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from typing import BinaryIO, Protocol

from dojo_deploy.errors import StoreError
from dojo_deploy.interfaces import Session
from dojo_deploy.streams import Sink

CHUNK = 1 << 20
SAID_EVERY = 10.0  # seconds


class Tell(Protocol):
    """Takes what is being done, the bytes so far, and how many there will be; 0: nobody knows."""

    def __call__(self, what: str, size: int, /, *, total: int = 0) -> None: ...


class Measured:
    """Size and sha256 of what went through `into`, or was read from a `Tapped`."""

    def __init__(self, tell: Callable[[int], None] = lambda _: None) -> None:
        self._hash = hashlib.sha256()
        self._tell = tell
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def take(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        self._tell(self.size)

    def into(self, sink: Sink) -> Sink:
        def take(data: bytes) -> None:
            sink(data)
            self.take(data)

        return take


class Tapped(io.RawIOBase, BinaryIO):
    """`source`, measured as it is read. A reader in another thread knows of OSError only: `error` is what it was.

    Such a reader may still be at it when `finish` is called: what is read is measured in that order.
    """

    def __init__(self, source: BinaryIO, measured: Measured) -> None:
        self._one = threading.Lock()
        self._source = source
        self._measured = measured
        self.error: StoreError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._one:
            try:
                data = self._source.read(size)
            except StoreError as exc:
                self.error = exc
                raise OSError(exc.message) from exc
            self._measured.take(data)
        return data

    def finish(self) -> None:
        """Reads what nobody asked for: programs stop before the end."""
        while self.read(CHUNK):
            pass


class Said:
    """Progress as lines of the step's output, now and then."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last = session.clock.monotonic()

    def __call__(self, what: str, size: int, /, *, total: int = 0) -> None:
        now = self._session.clock.monotonic()
        if now - self._last >= SAID_EVERY:
            self._last = now
            of = f" of {total / 1e6:,.0f}" if total else ""
            self._session.say(f"{what} {size / 1e6:,.0f}{of} MB")
