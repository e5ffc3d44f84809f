"""A second balancer host on this machine."""

from __future__ import annotations

import socket

from dojo_deploy.command import Command
from dojo_deploy.interfaces import Completed
from dojo_deploy.inventory import Host

from .local import LocalShell, RunningNginx


class Elsewhere(LocalShell):
    """The same paths and the same address, but its own nginx behind them."""

    paths: tuple[str, str]
    ports: tuple[int, int]

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        moved = Command.shell(command.render().replace(*self.paths))
        return super().run(moved, within=within, stdin=stdin)

    def dial(self, address: str, port: int, *, within: float) -> socket.socket:
        return super().dial(address, self.ports[1] if port == self.ports[0] else port, within=within)


def second_host(host: Host, first: RunningNginx, second: RunningNginx, scope: str) -> Elsewhere:
    shell = Elsewhere(host)
    shell.paths = (str(first.folder), str(second.folder))
    shell.ports = (first.ports[scope], second.ports[scope])
    return shell
