from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups import bed as clusters
from tests.backups.bed import PASSWORD, Cluster
from tests.sshd import Server, any_server
from tests.tuning.bed import NAME, ROLE, TABLES, Shop, inventory

DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own: tests cut its connections."""
    with any_server(tmp_path_factory.mktemp("way")) as server:
        yield server


@pytest.fixture(scope="session")
def fifteen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Debian's, with the statistics of statements."""
    if not DEBIAN.is_dir():
        pytest.skip("PostgreSQL 15 of Debian is not installed")
    options = ("-c", "shared_preload_libraries=pg_stat_statements")
    with clusters.running(tmp_path_factory.mktemp("postgres15"), DEBIAN, options=options) as cluster:
        prepare(cluster)
        cluster.psql("CREATE EXTENSION pg_stat_statements", database=NAME)
        yield cluster


@pytest.fixture(scope="session")
def eighteen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clusters.running(tmp_path_factory.mktemp("postgres18")) as cluster:
        prepare(cluster)
        yield cluster


@pytest.fixture
def shop(fifteen: Cluster, way: Server, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(fifteen, inventory(fifteen, way, tmp_path))
    yield shop
    shop.clean()


@pytest.fixture(params=["fifteen", pytest.param("eighteen", marks=pytest.mark.soak)])
def each(request: pytest.FixtureRequest, way: Server, tmp_path: Path) -> Iterator[Shop]:
    """On Debian's server, and in the whole matrix on the sandbox's too."""
    cluster: Cluster = request.getfixturevalue(request.param)
    shop = Shop(cluster, inventory(cluster, way, tmp_path))
    yield shop
    shop.clean()


@pytest.fixture(params=["fifteen", "eighteen"])
def either(request: pytest.FixtureRequest, way: Server, tmp_path: Path) -> Iterator[Shop]:
    """On each server."""
    cluster: Cluster = request.getfixturevalue(request.param)
    shop = Shop(cluster, inventory(cluster, way, tmp_path))
    yield shop
    shop.clean()


def prepare(cluster: Cluster) -> None:
    quoted = PASSWORD.replace("'", "''")
    cluster.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{quoted}' IN ROLE pg_monitor")
    cluster.psql(f"CREATE DATABASE {NAME} OWNER {ROLE}")
    cluster.psql(TABLES, database=NAME, user=ROLE)
