"""All hosts' SSH, in one process."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import hosts, keys
from ..daemons import Command
from ..files import write
from ..fleet import USER, Fleet
from ..layout import Layout
from ..proc import Process
from ..sshd import Config, SshHost
from ..waiting import Watched, answers


@dataclass(frozen=True)
class Ssh:
    layout: Layout
    fleet: Fleet
    name: str = "ssh"
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 1.0

    @property
    def address(self) -> str:
        return " ".join(f"{host.name}=127.0.0.1:{host.port}" for host in self.fleet.hosts)

    def configure(self) -> bool:
        keys.make(self.layout, self.fleet)
        for host in self.fleet.hosts:
            self.layout.host(host.name).mkdir(exist_ok=True)
        config = Config(
            tuple(
                SshHost(
                    host.name,
                    host.port,
                    USER,
                    str(self.layout.host(host.name)),
                    str(self.layout.host_key(host.name)),
                    str(self.layout.key.with_suffix(".pub")),
                    hosts.environment(self.layout, host),
                )
                for host in self.fleet.hosts
            )
        )
        return write(self._config, config.dumps())

    def command(self) -> Command:
        package = Path(__file__).parents[3]
        return Command(
            (sys.executable, "-m", "dojo_deploy.sandbox.sshd", str(self._config)),
            {"PATH": hosts.SYSTEM_PATH, "LANG": "C.UTF-8", "PYTHONPATH": str(package)},
        )

    def adopt(self) -> Process | None:
        return None

    def settle(self, watched: Watched) -> None:
        for host in self.fleet.hosts:
            watched.until(partial(answers, host.port), 15, f"{host.name}'s SSH")

    @property
    def _config(self) -> Path:
        return self.layout.home / "ssh" / "server.json"
