"""Processes by pid *and* start time, as /proc tells them: a pid alone may be somebody else's tomorrow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """`started` is in clock ticks since boot `boot`; the three together never name two processes."""

    pid: int
    started: int
    boot: str

    @property
    def alive(self) -> bool:
        """False for a zombie: it holds nothing any more, and only its parent can remove it."""
        return find(self.pid) == self

    def send(self, number: int) -> None:
        """Send a signal, to this very process or to none."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            # The handle pins the process: looked at after it was opened, it cannot become another one.
            if self.alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def find(pid: int) -> Process | None:
    """The living process `pid`, if there is one."""
    return parse(_read(pid, "stat").decode(errors="replace"), boot_id())


def parse(stat: str, boot: str) -> Process | None:
    """A line of /proc/<pid>/stat; None for nonsense and for zombies."""
    # The second field is the name in brackets, and a name may hold blanks and brackets.
    head, _, tail = stat.rpartition(") ")
    fields = tail.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return Process(int(head.split(" ", 1)[0]), int(fields[19]), boot)


def everyone() -> Iterator[Process]:
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (process := find(int(entry.name))):
            yield process


def session(process: Process) -> int:
    return _field(process.pid, 3)


def parent(process: Process) -> int:
    return _field(process.pid, 1)


def command_line(process: Process) -> str:
    return _read(process.pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def environment(process: Process) -> list[str]:
    """`NAME=value` as the process was started with; empty for processes of other users."""
    return _read(process.pid, "environ").decode(errors="replace").split("\0")


def folder(process: Process) -> Path | None:
    try:
        return (PROC / str(process.pid) / "cwd").readlink()
    except OSError:
        return None


@lru_cache(maxsize=1)
def boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _field(pid: int, index: int) -> int:
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[index]) if len(fields) > index else -1


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
