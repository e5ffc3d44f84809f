"""PM2 from npm, once per session, and a machine for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pm2_machine import Machine, free_ports

from dojo_deploy.processes.pm2 import Pm2
from dojo_deploy.sandbox import toolchain
from dojo_deploy.sandbox.layout import Layout


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    toolchain.cache().mkdir(parents=True, exist_ok=True)
    layout = Layout(tmp_path_factory.mktemp("tools"))
    layout.bin.mkdir(parents=True)
    toolchain.install(layout)
    return f"{layout.bin}:{os.environ['PATH']}"


@pytest.fixture
def machine(tmp_path: Path, tools: str) -> Iterator[Machine]:
    (tmp_path / "app").mkdir()
    one = Machine(tmp_path / "app", tools, tmp_path / "pm2", Pm2(), ports=free_ports())
    yield one
    one.sweep()
