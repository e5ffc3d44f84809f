"""Several inputs, read as one."""

from __future__ import annotations

import io
from typing import BinaryIO


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
