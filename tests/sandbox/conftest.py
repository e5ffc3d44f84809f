"""One sandbox for the whole session, real in every part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from dojo_deploy import sandbox

from .clients import State, client_to


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox") / "home"


@pytest.fixture(scope="session")
def state(home: Path) -> Iterator[State]:
    try:
        yield sandbox.up(home, hosts=2)
    finally:
        sandbox.down(home, destroy=True)


@pytest.fixture
def connect(state: State) -> Iterator[Callable[[str], paramiko.SSHClient]]:
    """Connections to hosts by name, host keys verified against the sandbox's own known_hosts."""
    clients: list[paramiko.SSHClient] = []

    def open_one(name: str) -> paramiko.SSHClient:
        client = client_to(state, name)
        clients.append(client)
        return client

    yield open_one
    for client in clients:
        client.close()
