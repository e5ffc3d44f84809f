from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import alb_cloud
from .local import DEBIAN, RunningNginx, Upstream


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    made = [Upstream(name) for name in ("web1", "web2", "web3")]
    yield made
    for upstream in made:
        upstream.stop()


@pytest.fixture
def greens() -> Iterator[list[Upstream]]:
    """The other colour, on the same hosts."""
    made = [Upstream(name, "r2") for name in ("web1", "web2", "web3")]
    yield made
    for upstream in made:
        upstream.stop()


@pytest.fixture
def debian() -> Path:
    """Debian's own nginx: 1.22, whose reloads cut connections."""
    if not DEBIAN.exists():
        pytest.skip("no nginx of Debian's here: apt-get install nginx")
    return DEBIAN


@pytest.fixture
def old_nginx(tmp_path: Path, debian: Path) -> Iterator[RunningNginx]:
    running = RunningNginx(tmp_path / "old", binary=debian)
    running.site("shop-test")
    yield running
    running.stop()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[RunningNginx]:
    """Not started yet; with one site, of the application `shop`."""
    running = RunningNginx(tmp_path / "ng")
    running.site("shop-test")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[alb_cloud.Amazon]:
    with alb_cloud.running(tmp_path_factory.mktemp("amazon")) as one:
        yield one


@pytest.fixture
def edge(amazon: alb_cloud.Amazon) -> Iterator[alb_cloud.Edge]:
    """A load balancer that knows of blue only as yet, and what its users reach."""
    one = alb_cloud.Edge(alb_cloud.Cloud(amazon, green=None))
    yield one
    one.stop()
