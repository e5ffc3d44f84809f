"""Starting processes that outlive us, and finding them again."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.errors import RefusedError

from . import proc
from .layout import Layout
from .proc import Process
from .waiting import tail

# `setsid --fork` leaves us no child to reap; a shell's `&` would instead hand SIGINT on as ignored, to every command
# of every host. The record is written before exec: were we killed right here, the next `up` would still find it.
LAUNCH = """
cd "$1" && { cat /proc/$$/stat; cat /proc/sys/kernel/random/boot_id; } >"$2.new" && mv "$2.new" "$2" || exit 1
log=$3; shift 3; exec "$@" >>"$log" 2>&1 </dev/null
"""


@dataclass(frozen=True)
class Command:
    """What to run as a daemon: words, and the whole environment."""

    words: tuple[str, ...]
    env: Mapping[str, str]


def start(layout: Layout, name: str, command: Command) -> Process:
    """Start `command` as service `name` in its own session. Raises RefusedError when it is gone at once."""
    record = layout.record(name)
    record.unlink(missing_ok=True)
    subprocess.run(
        ["setsid", "--fork", "/bin/sh", "-c", LAUNCH, "launch", str(layout.home), str(record), str(layout.log(name)),
         *command.words],
        env=dict(command.env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=10, check=True,
    )  # fmt: skip
    process = recorded(layout, name)
    if process is None:
        raise RefusedError(f"{name} did not start", hint=tail(layout.log(name)))
    return process


def recorded(layout: Layout, name: str) -> Process | None:
    """The process that `start` began for this service, dead or alive."""
    try:
        stat, boot = layout.record(name).read_text().splitlines()
    except (FileNotFoundError, ValueError):
        return None
    return proc.parse(stat, boot)


def orphans(layout: Layout, name: str) -> list[Process]:
    """What is left of the service's session besides its leader: an nginx worker whose master was killed, say."""
    leader = recorded(layout, name)
    if leader is None or leader.boot != proc.boot_id():
        return []
    return [
        process
        for process in proc.everyone()
        if process.pid != leader.pid and proc.session(process) == leader.pid and proc.folder(process) == layout.home
    ]
