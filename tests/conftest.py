"""A real SSH server for every test that needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.inventory import Host
from dojo_deploy.transports.shells import SshShell
from tests.sshd import Server, any_server


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all: do not kill it, start one of your own for that."""
    with any_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def shell_to() -> Iterator[Callable[[Host], SshShell]]:
    """Opens shells and closes them afterwards."""
    from dojo_deploy.transports.ssh import Gateways, connect

    clock = SystemClock()
    gateways = Gateways(clock)
    shells: list[SshShell] = []

    def open_one(host: Host) -> SshShell:
        shells.append(connect(host, gateways, clock))
        return shells[-1]

    yield open_one
    for shell in shells:
        shell.close()
    gateways.close()
