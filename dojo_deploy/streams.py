"""Several inputs, read as one; and what is too large for memory, on its way into a store and out of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

Sink = Callable[[bytes], None]


class Tunnel(Protocol):
    """A TCP connection made by the host, over its kept SSH connection; socket's own method names."""

    def sendall(self, data: bytes) -> None: ...
    def recv(self, size: int) -> bytes: ...
    def settimeout(self, seconds: float | None) -> None: ...
    def close(self) -> None: ...


class Streams(Protocol):
    """A store's half for what is made or used while it flows. Memory is bounded, whatever the size."""

    def incoming(self, key: str, *, keep: float = 0.0) -> AbstractContextManager[Sink]:
        """What is given to the sink becomes the object when the block ends well: whole. Otherwise nothing is there.

        `keep`: for so many seconds nobody shall be able to destroy it, where the store can see to that. A sink that
        cannot keep up makes its caller wait. Raises StoreError, from the sink too.
        """

    def abandon(self, prefix: str) -> None:
        """Nothing is left of streams into keys that begin so and that ended with their process."""

    def outgoing(self, key: str) -> AbstractContextManager[BinaryIO | None]:
        """The object's bytes, in order; None when there is no such key. Reading raises StoreError."""


class Chained(io.RawIOBase, BinaryIO):
    """Files one after the other; each is left open."""

    def __init__(self, *files: BinaryIO) -> None:
        self._files = list(files)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some bytes, at most `size`; none only at the end of the last file."""
        while self._files:
            data = self._files[0].read(size)
            if data:
                return data
            del self._files[0]
        return b""
