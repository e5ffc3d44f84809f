"""Who holds a lock, and whether that process is still there."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

URLS = ("CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL")


@dataclass(frozen=True)
class Holder:
    """One process on one machine; `url` is that of the CI job it runs in.

    `boot_id` carries the PID namespace too: two containers of one machine share the kernel's boot id, and a process
    of the one must not look dead to the other.
    """

    user: str
    host: str
    pid: int
    boot_id: str = ""
    started: str = ""  # the process's start in clock ticks since boot
    url: str = ""

    @classmethod
    def here(cls) -> Holder:
        pid = os.getpid()
        started, _ = _process(pid)
        return cls(_user(), socket.gethostname(), pid, _boot_id(), started, _url(os.environ))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Holder:
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def is_dead(self) -> bool:
        """Known to be gone: it ran here, since this boot, and is no more. False whenever that cannot be known."""
        if not self.boot_id or self.boot_id != _boot_id() or self.host != socket.gethostname() or not self.started:
            return False
        started, state = _process(self.pid)
        if not started:
            return _is_gone(self.pid)
        return started != self.started or state in ("Z", "X")

    @property
    def who(self) -> str:
        return f"{self.user}@{self.host}"

    def __str__(self) -> str:
        return f"{self.who} (pid {self.pid})"


def _process(pid: int) -> tuple[str, str]:
    """Start time and state letter; empty when there is no such process, or it is hidden from us."""
    try:
        # The second field is the program's name in brackets, which may hold blanks and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[19], fields[0]


def _is_gone(pid: int) -> bool:
    """False too for a process of another user, whom `hidepid` keeps out of /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _boot_id() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not a Linux machine: nobody is known to be dead, and the lease's time decides
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())


def _url(env: Mapping[str, str]) -> str:
    if run := env.get("GITHUB_RUN_ID"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}"
    return next((env[name] for name in URLS if env.get(name)), "")
