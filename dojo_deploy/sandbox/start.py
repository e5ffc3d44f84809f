"""Bringing a sandbox up: whatever of it does not run yet, all at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from dojo_deploy.errors import RefusedError

from . import daemons, ports, repository, services, state, toolchain
from .files import locked
from .fleet import design, parse
from .layout import Layout, cache
from .proc import Process
from .services import Service
from .waiting import Watched


def up(home: Path, hosts: int = 3, apps: Sequence[str] = ("tcgdojo",)) -> dict[str, Any]:
    """Start everything that does not run yet, and return what state.json then says.

    Raises ConfigError where it cannot run, RefusedError when something did not start in time.
    """
    toolchain.require()
    layout = Layout(home.resolve())
    layout.create()
    with locked(layout.lock):
        known = state.load(layout)
        fleet = design(hosts, apps, parse(known) if known else None, partial(ports.take, cache(), layout.home))
        # The ports are written before anything listens: a second try after a crash finds the same ones.
        state.save(layout, fleet, {})
        wanted = services.every(layout, fleet)
        _all_at_once(
            *(partial(_bring_up, layout, service) for service in wanted),
            partial(toolchain.install, layout),
            *(partial(repository.make, layout.repository(app.name), app.name) for app in fleet.apps),
        )
        return state.save(layout, fleet, dict(_running(layout, wanted)))


def running(layout: Layout, service: Service) -> Process | None:
    process = daemons.recorded(layout, service.name)
    return process if process and process.alive else service.adopt()


def _bring_up(layout: Layout, service: Service) -> None:
    changed = service.configure()
    watched = Watched(lambda: running(layout, service) is not None, layout.log(service.name))
    if process := running(layout, service):
        if changed:
            process.send(signal.SIGHUP)
        try:
            return service.settle(watched)
        except RefusedError:
            # It may have been on its way out when it was looked at.
            if watched.alive():
                raise
    for orphan in daemons.orphans(layout, service.name):
        orphan.send(signal.SIGKILL)
    daemons.start(layout, service.name, service.command())
    return service.settle(watched)


def _running(layout: Layout, wanted: Iterable[Service]) -> Iterable[tuple[str, Process]]:
    for service in wanted:
        if process := running(layout, service):
            yield service.name, process


def _all_at_once(*works: Callable[[], object]) -> None:
    """All of them end before the first failure is raised: nothing goes on starting behind the caller's back."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
    for future in futures:
        future.result()
