"""Ending a sandbox: its own processes, each known by pid and start time, and no other."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import RefusedError

from . import daemons, hosts, ports, proc, services, state
from .files import locked
from .fleet import parse
from .layout import Layout, cache
from .proc import Process
from .services.s3 import S3
from .start import running

# Of what deployments started on the hosts: PM2's daemons and the apps under them.
HOST_GRACE = 1.0
KILL_SECONDS = 10.0
POLL = 0.03


@dataclass(frozen=True)
class _End:
    """How a process is ended: asked by `number`, killed `grace` seconds later."""

    process: Process
    number: int
    grace: float


def down(home: Path, *, destroy: bool = False) -> None:
    """End every process of the sandbox at `home`; keep its data, unless `destroy` removes the folder.

    Raises RefusedError when a process survives its kill.
    """
    layout = Layout(home.resolve())
    if not layout.home.is_dir():
        return
    with locked(layout.lock):
        _end_all(layout)
        if known := state.load(layout):
            S3(layout, parse(known)).tidy()
        for record in (layout.home / "run").glob("*"):
            record.unlink()
        if destroy:
            shutil.rmtree(layout.home)
            ports.give_back(cache(), layout.home)


def _end_all(layout: Layout) -> None:
    began = time.monotonic()
    asked: dict[Process, _End] = {}
    # Looked for again in each round: PM2 may restart an app before it hears that it is to end itself.
    while left := [*_services(layout), *_on_hosts(layout)]:
        waited = time.monotonic() - began
        for end in left:
            if end.process not in asked:
                asked[end.process] = end
                end.process.send(end.number)
            elif waited > asked[end.process].grace:
                end.process.send(signal.SIGKILL)
        if waited > KILL_SECONDS:
            names = ", ".join(str(end.process.pid) for end in left)
            raise RefusedError(f"these processes of the sandbox survive SIGKILL: {names}")
        time.sleep(POLL)


def _services(layout: Layout) -> Iterator[_End]:
    known = state.load(layout)
    for service in services.every(layout, parse(known)) if known else ():
        process = running(layout, service)
        if process:
            yield _End(process, service.stop_signal, service.grace)
        # What has lost its leader has nobody left to tell it to end.
        leftovers = daemons.orphans(layout, service.name) if process is None else _children(process)
        for leftover in leftovers:
            yield _End(leftover, 0 if process else signal.SIGKILL, service.grace)


def _children(process: Process) -> list[Process]:
    return [other for other in proc.everyone() if proc.parent(other) == process.pid]


def _on_hosts(layout: Layout) -> Iterator[_End]:
    for process in proc.everyone():
        if process.pid != os.getpid() and hosts.is_inside(layout, proc.environment(process)):
            yield _End(process, signal.SIGTERM, HOST_GRACE)
