"""A store or a disk that fails under a backup, a drill, a restore: what was live is untouched, nothing half is left."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.app import backups
from dojo_deploy.errors import BackupError, DamagedError, StoreError
from dojo_deploy.session import OpenSession
from dojo_deploy.stores import s3
from dojo_deploy.stores.s3 import S3
from tests.backups import bed
from tests.backups.bed import NAME, PASSWORD, ROLE, Bed, Cluster
from tests.backups.shop import Shop
from tests.backups.test_restore import mine
from tests.engine.conftest import quick as quick
from tests.sshd import Server
from tests.stores.conftest import s3_options
from tests.stores.line import Line

MB = 1 << 20


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[Line]:
    address, _, port = s3_endpoint.removeprefix("http://").partition(":")
    server = Line((address, int(port)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.freed.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def distant(cluster: Cluster, way: Server, tmp_path: Path, line: Line) -> Bed:
    host, port = line.server_address
    store = S3(**s3_options(f"http://{host}:{port}", tmp_path.name))  # type: ignore[arg-type]
    return Bed(cluster, bed.site(way.host, store, cluster.settings()))


def uploads(bed: Bed) -> list[str]:
    session = OpenSession(bed.site)
    try:
        store: Any = session.store
        answer = store.client.list_multipart_uploads(Bucket=store.settings.bucket, Prefix=store.base)
        return [item["Key"] for item in answer.get("Uploads", ())]
    finally:
        session.close()


@pytest.mark.parametrize(
    ("fault", "times"),
    [("lost", 1), *(pytest.param(fault, 2, marks=pytest.mark.soak) for fault in ("500", "reset", "cut"))],
)
def test_a_store_that_fails_now_and_then_changes_nothing(distant: Bed, line: Line, fault: str, times: int) -> None:
    line.fault, line.times = fault, times
    manifest = backups.back_up(distant.site)
    assert line.met == times
    assert backups.drill(distant.site, backup=manifest.id).wrong == ()
    assert uploads(distant) == []


@pytest.mark.soak
@pytest.mark.parametrize("fault", ["500", "reset", "stall"])
def test_a_store_that_stays_broken_has_no_backup_and_no_part_of_one(
    distant: Bed, line: Line, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 1)
    line.fault, line.times = fault, 1000
    with pytest.raises(StoreError, match="could not be uploaded"):
        backups.back_up(distant.site)
    line.fault = ""
    line.freed.set()
    assert uploads(distant) == []
    assert distant.keys() == ()
    assert backups.verify(distant.site, backup=backups.back_up(distant.site).id)
    assert distant.cluster.databases() >= {NAME}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of its own, whose disk can be full."""
    with bed.running(tmp_path_factory.mktemp("small")) as running:
        quoted = PASSWORD.replace("'", "''")
        running.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{quoted}'")
        yield running


@pytest.mark.soak
def test_a_full_disk_on_the_databases_host_leaves_the_live_database_alone(small: Cluster, quick: Path) -> None:
    shop = Shop.opened_for(quick / "filled", small, "filled")
    noise = "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60) WHERE n > 0"
    fill = f"CREATE TABLE noise AS SELECT n, ({noise}) AS text FROM generate_series(1, 20000) n"
    small.psql(fill, database="filled", user=ROLE)
    proven = shop.back_up()
    assert shop.drill().wrong == ()
    # No file may grow beyond it: what a server sees of a full disk, but for its log of changes, which has to go on.
    limits = resource.prlimit(small.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(small.pid, resource.RLIMIT_FSIZE, (17 * MB, limits[1]))
    try:
        with pytest.raises(BackupError, match="could not restore the dump") as caught:
            shop.drill()
        ended = shop.begin(backup=proven)
    finally:
        resource.prlimit(small.pid, resource.RLIMIT_FSIZE, limits)
    assert not isinstance(caught.value, DamagedError)
    assert "could not extend" in caught.value.hint
    with shop.near():
        assert backups.health(shop.site()).proven, "the backup is what it was"
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20)
    assert "could not restore the dump" in ended.reason
    assert mine(small, shop) == ["filled"]
    assert small.psql("SELECT count(*) FROM noise", database="filled", user=ROLE) == "20000"
    assert shop.serves
    assert not (shop.doors / "log").exists(), "users were disturbed"
    assert shop.begin(backup=proven).verdict == "done"


@pytest.mark.soak
def test_a_managed_server_is_dumped_by_a_reader_and_restored_without_a_superuser(cluster: Cluster, local: Bed) -> None:
    quoted = PASSWORD.replace("'", "''")
    cluster.psql(f"CREATE ROLE reader LOGIN PASSWORD '{quoted}'; GRANT pg_read_all_data TO reader")
    try:
        user = cluster.settings()
        settings = replace(user, host="", via="db1", reader="reader", reader_password=user.password, ownership="user")
        settings.check()
        bed = local.with_(database=settings)
        manifest = backups.back_up(bed.site)
        assert not manifest.role_passwords
        assert manifest.rows["public.cards"] == 8000
        assert backups.drill(bed.site).wrong == ()
        assert backups.prune(bed.site).dropped == ()
    finally:
        cluster.psql("DROP OWNED BY reader; DROP ROLE reader")
