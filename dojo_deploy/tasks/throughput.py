"""How far a long transfer is, on one line of a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 0.2  # seconds


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Takes what is being done and the bytes so far; the line is gone when the block ends."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    line = _Line()
    try:
        yield line.tell
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


class _Line:
    def __init__(self) -> None:
        self._what = ""
        self._began = self._shown = 0.0

    def tell(self, what: str, size: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._shown = what, now, 0.0
        if now - self._shown < EVERY:
            return
        self._shown = now
        rate = size / max(now - self._began, EVERY) / 1e6
        sys.stderr.write(f"\r\x1b[K{what} {size / 1e6:,.1f} MB, {rate:,.1f} MB/s, {now - self._began:.0f} s")
        sys.stderr.flush()
