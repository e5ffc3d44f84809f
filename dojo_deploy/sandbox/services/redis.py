"""Redis; its data survive a restart."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from .. import toolchain
from ..daemons import Command
from ..fleet import Fleet
from ..layout import Layout
from ..proc import Process
from ..waiting import Watched


@dataclass(frozen=True)
class Redis:
    layout: Layout
    fleet: Fleet
    name: str = "redis"
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 5.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.fleet.ports['redis']}"

    def configure(self) -> bool:
        self._folder.mkdir(exist_ok=True)
        return False

    def command(self) -> Command:
        return Command(
            (str(toolchain.redis()), "--bind", "127.0.0.1", "--port", str(self.fleet.ports["redis"]),
             "--dir", str(self._folder), "--appendonly", "yes"),
            {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip

    def adopt(self) -> Process | None:
        return None

    def settle(self, watched: Watched) -> None:
        watched.until(self._pong, 15, "Redis")

    @property
    def _folder(self) -> Path:
        return self.layout.data("redis")

    def _pong(self) -> bool:
        # Not before it has read its data: until then it answers -LOADING.
        try:
            with socket.create_connection(("127.0.0.1", self.fleet.ports["redis"]), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
