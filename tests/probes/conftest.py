"""A real application server that can be told to be sick, asked through the real local transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy.plan import Target
from dojo_deploy.testing.machines import Machine, Serve, Server

__all__ = ["Machine", "Serve", "Server"]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def machine(tmp_path: Path, server: Server) -> Machine:
    return Machine(tmp_path / "srv", server.port)


@pytest.fixture
def target() -> Target:
    return Target("web1", "blue", "r2")
