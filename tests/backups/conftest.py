from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy.stores.directory import Directory
from dojo_deploy.stores.s3 import S3
from tests.backups import bed
from tests.backups.bed import NAME, PASSWORD, ROLE, TABLES, Bed, Cluster
from tests.sshd import Server, any_server
from tests.stores.conftest import s3_endpoint as s3_endpoint
from tests.stores.conftest import s3_options


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with bed.running(tmp_path_factory.mktemp("postgres")) as running:
        quoted = PASSWORD.replace("'", "''")
        running.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{quoted}'")
        running.psql(f"CREATE DATABASE {NAME} OWNER {ROLE}")
        running.psql(TABLES.format(cards=8000), database=NAME, user=ROLE)
        yield running


@pytest.fixture(scope="session")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own: tests cut its connections."""
    with any_server(tmp_path_factory.mktemp("way")) as server:
        yield server


@pytest.fixture
def local(cluster: Cluster, way: Server, tmp_path: Path) -> Bed:
    """Into a folder."""
    return Bed(cluster, bed.site(way.host, Directory(str(tmp_path / "store")), cluster.settings()))


@pytest.fixture
def remote(cluster: Cluster, way: Server, tmp_path: Path, s3_endpoint: str) -> Bed:
    """Into S3."""
    store = S3(**s3_options(s3_endpoint, tmp_path.name))  # type: ignore[arg-type]
    return Bed(cluster, bed.site(way.host, store, cluster.settings()))
