"""A store or a disk that fails under a backup, a drill, a restore: what was live is untouched, nothing half is left."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.app import backups
from dojo_deploy.errors import BackupError, DamagedError, RefusedError, StoreError
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


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Cluster]:
    """A server whose data lie on a disk of their own, of 100 MB; its log of changes lies elsewhere."""
    data = tmp_path / "pg" / "data"
    data.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0700", "tmpfs", data], check=False).returncode:
        pytest.skip("may not mount")
    try:
        with bed.running(tmp_path / "pg", made_with=("-X", str(tmp_path / "pg" / "wal"))) as running:
            quoted = PASSWORD.replace("'", "''")
            running.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{quoted}'")
            yield running
    finally:
        subprocess.run(["umount", "-l", data], check=True)


@pytest.mark.soak
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_that_is_too_small_is_seen_before_and_a_disk_that_fills_up_is_survived(
    tight: Cluster, quick: Path
) -> None:
    shop = Shop.opened_for(quick / "tight", tight, "tight")
    noise = "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60) WHERE n > 0"
    fill = f"CREATE TABLE noise AS SELECT n, ({noise}) AS text FROM generate_series(1, 25000) n"
    tight.psql(fill, database="tight", user=ROLE)
    made = shop.back_up()

    # The server tells nobody but its monitors where its data lie; then the disk is really full.
    with pytest.raises(BackupError, match="could not restore the dump") as caught:
        shop.drill()
    assert "No space left on device" in caught.value.hint
    ended = shop.begin(backup=made)
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20), ended.reason
    with shop.near():
        assert not backups.listed(shop.site()).backups[0].proof, "the backup was to blame"

    shop.document["database"]["data"] = str(tight.folder / "data")
    for attempt in (shop.drill, lambda: shop.begin(backup=made)):
        with pytest.raises(RefusedError, match=r"may take \d+ MB of disk, and \d+ are free"):
            attempt()

    assert mine(tight, shop) == ["tight"]
    assert tight.psql("SELECT count(*) FROM noise", database="tight", user=ROLE) == "25000"
    tight.psql("INSERT INTO noise VALUES (0, 'it still takes rows')", database="tight", user=ROLE)
    assert shop.serves
    assert not (shop.doors / "log").exists(), "users were disturbed"


@pytest.mark.soak
def test_a_server_that_knows_no_other_roles_restores_as_its_user(cluster: Cluster, quick: Path) -> None:
    shop = Shop.opened_for(quick / "managed", cluster, "managed")
    cluster.psql("CREATE ROLE teller; CREATE ROLE keeper")
    cluster.psql("GRANT SELECT ON cards TO teller; GRANT CONNECT ON DATABASE managed TO teller", database="managed")
    cluster.psql("ALTER TABLE decks OWNER TO keeper; ALTER ROLE teller IN DATABASE managed SET work_mem TO '8MB'",
                 database="managed")  # fmt: skip
    shop.document["database"] |= {"reader": "postgres", "reader_password": {"env": "BACKUP_TEST_PASSWORD"}}
    made = shop.back_up()
    cluster.psql("ALTER TABLE decks OWNER TO shop; DROP OWNED BY teller, keeper", database="managed")
    cluster.psql("DROP ROLE teller; DROP ROLE keeper")
    try:
        kept = shop.begin(backup=made)
        assert (kept.verdict, kept.exit_code) == ("rolled back", 20)
        assert "role" in kept.reason and "does not exist" in kept.reason
        assert shop.serves and mine(cluster, shop) == ["managed"]

        shop.document["database"]["ownership"] = "user"
        ended = shop.begin(backup=made)

        assert (ended.verdict, ended.exit_code) == ("done", 0), ended.reason
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert cluster.psql(owners, database="managed") == ROLE
        settings = "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
        assert "search_path" in cluster.psql(f"{settings} WHERE datname = 'managed'")
        assert shop.serves
    finally:
        for name in mine(cluster, shop):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


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
