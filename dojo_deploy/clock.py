"""Time, and the real one."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Time comes in through here."""

    def now(self) -> float:
        """Wall clock, seconds since 1970 UTC; for people to read, never for deadlines."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Sleeps, or less when `wake` is set meanwhile."""


class SystemClock:
    """Time of this machine: the wall clock for people, the monotonic one for everything else."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        (wake or threading.Event()).wait(max(0.0, seconds))


def utc(seconds: float) -> str:
    """A wall-clock time as ISO 8601 UTC with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"
