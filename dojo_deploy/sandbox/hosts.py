"""What a host gives its commands: the environment, and the search path."""

from __future__ import annotations

import os

from . import toolchain
from .fleet import USER, Host
from .layout import Layout

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def environment(layout: Layout, host: Host) -> dict[str, str]:
    """The whole environment of a command on `host`."""
    home = layout.host(host.name)
    return {
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        "PATH": os.pathsep.join((str(home / "bin"), str(layout.bin), str(toolchain.postgres()), SYSTEM_PATH)),
        "PM2_HOME": str(home / ".pm2"),
        "LANG": "C.UTF-8",
    }


def is_inside(layout: Layout, environment: list[str]) -> bool:
    """True for the environment of a process that began with a command on one of the sandbox's hosts."""
    marks = tuple(f"{name}={layout.hosts}{os.sep}" for name in ("HOME", "PM2_HOME"))
    return any(entry.startswith(marks) for entry in environment)
