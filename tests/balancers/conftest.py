from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .local import RunningNginx, Upstream


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    made = [Upstream(name) for name in ("web1", "web2", "web3")]
    yield made
    for upstream in made:
        upstream.stop()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[RunningNginx]:
    """Not started yet; with one site, of the application `shop`."""
    running = RunningNginx(tmp_path / "ng")
    running.site("shop-test")
    yield running
    running.stop()
