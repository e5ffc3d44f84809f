"""The services of a sandbox, one file each."""

from __future__ import annotations

import signal
from typing import Protocol

from ..daemons import Command
from ..fleet import Fleet
from ..layout import Layout
from ..proc import Process
from ..waiting import Watched


class Service(Protocol):
    """One daemon. `stop_signal` ends it in good order, within `grace` seconds before it is killed."""

    @property
    def name(self) -> str: ...
    @property
    def stop_signal(self) -> signal.Signals: ...
    @property
    def grace(self) -> float: ...
    @property
    def address(self) -> str: ...

    def configure(self) -> bool:
        """Write what it reads at start; True when SIGHUP should make it read that again."""

    def command(self) -> Command: ...

    def adopt(self) -> Process | None:
        """The running process, when somebody else than `up` started it."""

    def settle(self, watched: Watched) -> None:
        """Return once it is usable. Raises RefusedError after a deadline, or when its process ends."""


def every(layout: Layout, fleet: Fleet) -> tuple[Service, ...]:
    """All services, the slowest to start first."""
    from .nginx import Nginx
    from .postgres import Postgres
    from .redis import Redis
    from .s3 import S3
    from .ssh import Ssh

    return (
        S3(layout, fleet),
        Postgres(layout, fleet),
        Redis(layout, fleet),
        Ssh(layout, fleet),
        Nginx(layout, fleet),
    )
