"""A database that is dumped and restored by several processes at once: the same promises, and no folder left behind."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.app import backups
from dojo_deploy.errors import BackupError, ConfigError, DamagedError, LostError
from tests.backups.bed import NAME, ROLE, Bed, Cluster
from tests.backups.shop import Shop
from tests.backups.test_backup import ROWS, once
from tests.backups.test_restore import cards, kept, mine, more
from tests.engine.conftest import quick as quick
from tests.sshd import Server, until


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def packed(local: Bed, spool: Path) -> Bed:
    return local.with_(database=local.cluster.settings(jobs=3, spool=str(spool)))


@pytest.fixture
def large(cluster: Cluster) -> Iterator[None]:
    """A table whose dump goes on when the first bytes of another have come."""
    cluster.psql(
        "CREATE TABLE large AS SELECT n, c.noise FROM cards c, generate_series(1, 5) n", database=NAME, user=ROLE
    )
    yield
    cluster.psql("DROP TABLE large", database=NAME, user=ROLE)


@pytest.fixture
def objects(cluster: Cluster) -> Iterator[str]:
    """A database with large objects, which are in no table."""
    cluster.psql(f"CREATE DATABASE objects OWNER {ROLE}")
    many = "SELECT lo_from_bytea(0, sha256(n::text::bytea)) FROM generate_series(1, 20) n"
    cluster.psql(f"{many}; CREATE TABLE t (x int)", database="objects", user=ROLE)
    yield "objects"
    cluster.psql("DROP DATABASE objects WITH (FORCE)")


def test_it_comes_back_row_for_row(packed: Bed, spool: Path) -> None:
    manifest = backups.back_up(packed.site)
    assert (manifest.format, manifest.rows) == ("directory", ROWS)
    assert backups.verify(packed.site).id == manifest.id
    proof = backups.drill(packed.site)
    assert (proof.wrong, proof.rows) == ((), ROWS)
    assert list(spool.iterdir()) == []
    # Whoever has one job reads what several have written, and the other way round.
    alone = packed.with_(database=packed.cluster.settings(spool=str(spool)))
    assert backups.drill(alone.site).wrong == ()
    custom = backups.back_up(alone.site)
    assert custom.format == "custom"
    assert backups.drill(packed.site, backup=custom.id).wrong == ()


@pytest.mark.soak
def test_large_objects_are_in_it_and_so_is_the_way_through_s3(remote: Bed, spool: Path, objects: str) -> None:
    bed = remote.with_(database=remote.cluster.settings(name=objects, jobs=2, spool=str(spool)))
    manifest = backups.back_up(bed.site)
    assert backups.drill(bed.site).wrong == ()
    names: list[str] = []

    bed.put(f"backups/{manifest.id}/database.dump", lambda data: names.extend(members(data)) or data)
    assert len([name for name in names if "/blob_" in name]) == 20
    assert "dump/toc.dat" in names
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("large")
def test_a_dump_that_is_killed_is_no_backup_and_leaves_no_folder(packed: Bed, spool: Path) -> None:
    def kill() -> None:
        found = packed.cluster.dumps()
        assert found
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(BackupError, match="pg_dump ended 137"):
        backups.back_up(packed.site, tell=once(kill))
    assert packed.keys() == ()
    assert list(spool.iterdir()) == []


@pytest.mark.usefixtures("large")
def test_a_connection_that_is_cut_ends_the_dump_and_its_folder(packed: Bed, spool: Path, way: Server) -> None:
    with pytest.raises(LostError):
        backups.back_up(packed.site, tell=once(lambda: way.signal_sessions(signal.SIGKILL)))
    assert packed.keys() == ()
    until(lambda: not packed.cluster.dumps(), what="pg_dump to end by itself")
    until(lambda: not list(spool.iterdir()), what="its folder to go")
    assert backups.back_up(packed.site).rows.items() >= ROWS.items()


@pytest.fixture
def alike(cluster: Cluster) -> Iterator[list[str]]:
    """Tables of the same form, whose rows differ."""
    names = [f"alike{number}" for number in range(12)]
    for name in names:
        noise = f"SELECT md5(n || '{name}') AS text FROM generate_series(1, 20000) n"
        cluster.psql(f"CREATE TABLE {name} AS {noise}", database=NAME, user=ROLE)
    yield names
    for name in names:
        cluster.psql(f"DROP TABLE {name}", database=NAME, user=ROLE)


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {each.name: (each, archive.extractfile(each)) for each in archive}
        assert all(each.isreg() for each, _ in found.values()), "a link to another table's rows"
        return {name: file.read() for name, (_, file) in found.items() if file}


def test_each_table_has_rows_of_its_own_also_where_a_file_gets_the_inode_of_another(
    packed: Bed, alike: list[str]
) -> None:
    manifest = backups.back_up(packed.site)
    stored: list[dict[str, bytes]] = []
    packed.put(f"backups/{manifest.id}/database.dump", lambda data: stored.append(members(data)) or data)
    large = [data for name, data in stored[0].items() if name.endswith(".dat.gz") and len(data) > 100_000]
    assert len(set(large)) == len(large) >= len(alike)


def test_one_tables_rows_in_the_place_of_anothers_are_found(packed: Bed, alike: list[str]) -> None:
    manifest = backups.back_up(packed.site)
    sizes: list[tuple[int, str]] = []

    def exchange(data: bytes) -> bytes:
        found = members(data)
        twins = [name for name in found if name.endswith(".dat.gz") and len(found[name]) > 100_000][:2]
        found[twins[0]] = found[twins[1]]
        with io.BytesIO() as into, tarfile.open(fileobj=into, mode="w") as archive:
            for name, content in found.items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
            archive.close()
            changed = into.getvalue()
        sizes.append((len(changed), hashlib.sha256(changed).hexdigest()))
        return changed

    def lie(data: bytes) -> bytes:
        values: dict[str, Any] = json.loads(data[data.index(b"{") :])
        values["dump"] = dict(zip(("size", "sha256"), sizes[0], strict=True))
        return json.dumps(values).encode()

    assert alike
    packed.put(f"backups/{manifest.id}/database.dump", exchange)
    packed.put(f"backups/{manifest.id}/manifest.json", lie)
    with pytest.raises(DamagedError) as caught:
        backups.verify(packed.site)
    assert "FAILED" in caught.value.hint
    assert "could not restore" in backups.drill(packed.site).wrong[0]


@pytest.mark.parametrize("damage", ["cut", pytest.param("flip", marks=pytest.mark.soak)])
def test_damage_is_found_by_verify_and_by_a_drill(packed: Bed, spool: Path, damage: str) -> None:
    manifest = backups.back_up(packed.site)
    half = manifest.dump.size // 2

    def spoil(data: bytes) -> bytes:
        return data[:half] if damage == "cut" else data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]

    packed.put(f"backups/{manifest.id}/database.dump", spoil)
    with pytest.raises(DamagedError, match="not what was written"):
        backups.verify(packed.site)
    assert "not what was written" in backups.drill(packed.site).wrong[0]
    assert list(spool.iterdir()) == []


def test_too_little_room_for_the_folder_is_told_before_anything_is_dumped(packed: Bed) -> None:
    bed = packed.with_(database=packed.cluster.settings(jobs=2, spool="/proc"))
    with pytest.raises(BackupError, match="/proc has room for 0 MB, and this wants") as caught:
        backups.back_up(bed.site)
    assert "database.spool" in caught.value.hint
    assert bed.keys() == ()
    with pytest.raises(ConfigError):
        replace(packed.cluster.settings(), jobs=0).check()


def test_a_folder_that_a_killed_machine_left_goes_and_one_in_use_stays(packed: Bed, spool: Path) -> None:
    for name in ("left", "used"):
        (spool / f"dojo-spool.{name}").mkdir()
        (spool / f"dojo-spool.{name}" / "file").touch()
        os.utime(spool / f"dojo-spool.{name}", (0, 0))
    lock = os.open(spool / "dojo-spool.used", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        backups.back_up(packed.site)
        assert [path.name for path in spool.iterdir()] == ["dojo-spool.used"]
    finally:
        os.close(lock)


def test_a_manifest_of_before_there_were_two_formats_is_read(local: Bed) -> None:
    manifest = backups.back_up(local.site)

    def older(data: bytes) -> bytes:
        values: dict[str, Any] = json.loads(data[data.index(b"{") :])
        del values["format"]
        return json.dumps(values).encode()

    local.put(f"backups/{manifest.id}/manifest.json", older)
    assert backups.verify(local.site).format == "custom"


@pytest.mark.soak
def test_it_takes_the_place_of_the_live_database(cluster: Cluster, quick: Path, spool: Path) -> None:
    shop = Shop.opened_for(quick / "packed", cluster, "shop_packed")
    try:
        shop.document["database"] |= {"jobs": 2, "spool": str(spool)}
        shop.back_up()
        assert shop.drill().wrong == ()
        more(cluster, shop.name)
        ended = shop.begin()
        assert (ended.verdict, ended.exit_code) == ("done", 0), ended.reason
        assert cards(cluster, shop.name) == 120
        assert mine(cluster, shop) == [shop.name, kept(cluster, shop)]
        assert list(spool.iterdir()) == []
    finally:
        for name in mine(cluster, shop):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")
