"""How far a long transfer is, on one line of a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dojo_deploy.backups.measured import Tell

EVERY = 0.2  # seconds
CELLS = 20


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """Takes what is being done and the bytes so far; the line is gone when the block ends."""
    if quiet or not sys.stderr.isatty():
        yield _silent
        return
    line = _Line()
    try:
        yield line.tell
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _silent(what: str, size: int, /, *, total: int = 0) -> None:
    """Where nobody looks."""


class _Line:
    def __init__(self) -> None:
        self._what = ""
        self._began = self._shown = 0.0

    def tell(self, what: str, size: int, /, *, total: int = 0) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._shown = what, now, 0.0
        if now - self._shown < EVERY:
            return
        self._shown = now
        sys.stderr.write(f"\r\x1b[K{row(what, size, total, now - self._began)}")
        sys.stderr.flush()


def row(what: str, size: int, total: int, seconds: float) -> str:
    """One line: a bar and the time left where the end is known, else the time so far."""
    rate = size / max(seconds, EVERY)
    told = f"{size / 1e6:,.1f} MB, {rate / 1e6:,.1f} MB/s"
    if not total:
        return f"{what} {told}, {seconds:.0f} s"
    share = min(1.0, size / total)
    full = int(share * CELLS)
    left = max(0.0, total - size) / max(rate, 1.0)
    return f"{what} {'█' * full}{'░' * (CELLS - full)} {share:4.0%}  {told}, {left:.0f} s left"
