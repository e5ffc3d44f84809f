"""A backup takes the place of the live database; whatever goes wrong, what was live is live again, nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dojo_deploy.app import backups, restores
from dojo_deploy.errors import RefusedError
from tests.backups.bed import ROLE, Cluster
from tests.backups.shop import GATE, Shop
from tests.engine.conftest import quick as quick

CARDS = "SELECT count(*) FROM cards"


@pytest.fixture
def shops(cluster: Cluster, quick: Path) -> Iterator[Callable[[], Shop]]:
    made: list[Shop] = []

    def make() -> Shop:
        made.append(Shop.opened_for(quick / f"{len(made)}", cluster, f"shop{len(made)}"))
        return made[-1]

    yield make
    for name in cluster.databases() - {"shop"}:
        if name.startswith("shop"):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shop(shops: Callable[[], Shop]) -> Shop:
    """With a proven backup of 120 cards."""
    one = shops()
    one.back_up()
    assert one.drill().wrong == ()
    return one


def more(cluster: Cluster, name: str, count: int = 7) -> None:
    cluster.psql(
        f"INSERT INTO cards SELECT 1000 + n, 'new ' || n, '' FROM generate_series(1, {count}) n",
        database=name,
        user=ROLE,
    )


def mine(cluster: Cluster, shop: Shop) -> list[str]:
    return sorted(name for name in cluster.databases() if name.startswith(shop.name))


def kept(cluster: Cluster, shop: Shop) -> str:
    (name,) = (name for name in mine(cluster, shop) if "_old_" in name)
    return name


def was_live(cluster: Cluster, shop: Shop) -> list[str]:
    """What a restore that was undone has left: it may hold what users committed."""
    said = "shobj_description(oid, 'pg_database') LIKE 'kept by dojo_deploy until %'"
    found = cluster.psql(
        f"SELECT datname FROM pg_database WHERE datname LIKE '{shop.name}_restore_%' AND {said}"
    ).split()
    assert len(found) < 2
    return found


def cards(cluster: Cluster, name: str) -> int:
    return int(cluster.psql(CARDS, database=name, user=ROLE))


def test_a_backup_takes_the_place_of_the_live_database_and_that_is_kept(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    ended = shop.begin()
    assert (ended.verdict, ended.exit_code) == ("done", 0), ended.reason
    assert cards(cluster, shop.name) == 120
    assert shop.serves
    assert (shop.doors / "log").read_text().split() == ["close", "open"]
    old = kept(cluster, shop)
    assert mine(cluster, shop) == [shop.name, old]
    cluster.psql(f"ALTER DATABASE {old} ALLOW_CONNECTIONS true")
    assert cards(cluster, old) == 127
    assert shop.is_clean()


@pytest.mark.soak
def test_what_comes_back_is_the_database_as_it_was(shop: Shop, cluster: Cluster) -> None:
    about = f"""SELECT pg_get_userbyid(datdba), datacl, shobj_description(oid, 'pg_database'), datcollate,
      (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d
      WHERE datname = '{shop.name}'"""
    before = cluster.psql(about)
    assert "shop''s own" not in before and "search_path" in before
    assert shop.begin().verdict == "done"
    assert cluster.psql(about) == before


@pytest.mark.soak
def test_it_is_undone_by_trading_places_again_and_that_too(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    shop.begin()
    comment = f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{shop.name}'"
    assert shop.begin(undo=True).verdict == "done"
    assert cards(cluster, shop.name) == 127
    assert cluster.psql(comment) == "the shop's own: all of it"
    assert [name.split("_")[1] for name in mine(cluster, shop)[1:]] == ["undone"]
    ended = shop.begin(undo=True)
    assert ended.verdict == "done", ended.reason
    assert cards(cluster, shop.name) == 120
    assert cluster.psql(comment) == "the shop's own: all of it"


def test_a_gate_that_fails_brings_the_live_database_back_by_itself(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    (shop.base / "web1" / "wants").write_text("127")
    ended = shop.begin()
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20), ended.reason
    assert cards(cluster, shop.name) == 127
    assert mine(cluster, shop) == [shop.name, *was_live(cluster, shop)]
    assert shop.serves
    assert shop.is_clean()
    (left,) = was_live(cluster, shop)
    with shop.near(), pytest.raises(RefusedError, match="no restore has left anything"):
        shop.begin(undo=True)
    cluster.psql(f"ALTER DATABASE {left} ALLOW_CONNECTIONS true")
    assert cards(cluster, left) == 120


def test_a_site_in_maintenance_stays_in_maintenance(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    (shop.doors / "closed").touch()
    assert shop.begin().verdict == "done"
    assert cards(cluster, shop.name) == 120
    assert (shop.doors / "closed").exists()
    assert not (shop.doors / "log").exists(), "the page is somebody else's"
    assert (shop.base / "web1" / "up").exists()


@pytest.mark.soak
def test_a_migration_that_fails_brings_the_live_database_back_by_itself(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    (shop.base / "web1" / "fault-migrate").touch()
    ended = shop.begin()
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20), ended.reason
    assert cards(cluster, shop.name) == 127
    assert mine(cluster, shop) == [shop.name, *was_live(cluster, shop)]
    assert shop.serves
    assert shop.is_clean()


@pytest.mark.soak
def test_connections_are_ended_and_none_comes_between(shop: Shop, cluster: Cluster) -> None:
    import subprocess

    from tests.backups.shop import connection

    words = [cluster.bin / "psql", "-X", "-d", shop.name, "-c", "SELECT pg_sleep(60)"]
    with subprocess.Popen(words, env=connection(cluster), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as asking:
        assert shop.begin().verdict == "done"
        assert b"terminating connection" in asking.communicate(timeout=10)[1]
    assert cards(cluster, shop.name) == 120


@pytest.mark.soak
def test_a_database_that_is_gone_comes_back(shop: Shop, cluster: Cluster) -> None:
    cluster.psql(f"DROP DATABASE {shop.name}")
    assert shop.begin().verdict == "done"
    assert cards(cluster, shop.name) == 120
    assert mine(cluster, shop) == [shop.name]
    assert shop.serves


def test_nothing_happens_without_the_name_of_the_database(shop: Shop, cluster: Cluster) -> None:
    for confirm in ("", "shop"):
        with pytest.raises(RefusedError, match=f"--confirm {shop.name}"):
            shop.begin(confirm=confirm)
    assert mine(cluster, shop) == [shop.name]


def test_a_plan_shows_what_is_given_up_and_every_command(shop: Shop, cluster: Cluster) -> None:
    more(cluster, shop.name)
    cluster.psql("DELETE FROM games_24", database=shop.name, user=ROLE)
    with shop.near():
        plan = restores.plan(shop.site(), restores.Wanted(), overrides=GATE)
    text = plan.outline(commands=True)
    assert "public.cards: 127 rows now, 120 in the backup (-7)" in text
    assert "public.games_24: 0 rows now, 2 in the backup (+2)" in text
    for line in ("pg_dump -Fc", "pg_restore --exit-on-error", "ALLOW_CONNECTIONS false", f"RENAME TO {shop.name}"):
        assert line in text
    assert mine(cluster, shop) == [shop.name]


@pytest.mark.soak
def test_another_cluster_another_database_and_a_newer_schema_are_refused(shop: Shop, cluster: Cluster) -> None:
    (found,) = _manifests(shop)
    text = found.read_bytes()
    _, _, body = text.partition(b"\n")
    identity = cluster.psql("SELECT system_identifier FROM pg_control_system()")
    found.write_bytes(body.replace(identity.encode(), b"42"))
    with pytest.raises(RefusedError, match=rf"cluster 42[\s\S]*--cluster {identity}"):
        shop.begin()
    assert shop.begin(cluster=identity).verdict == "done"
    found.write_bytes(body.replace(f'"database": "{shop.name}"'.encode(), b'"database": "other"'))
    with pytest.raises(RefusedError, match="backup of other"):
        shop.begin()


def test_roles_that_the_server_lacks_are_named_before_anything_is_done(shop: Shop, cluster: Cluster) -> None:
    """As on a new cluster. A role that only reads one table is wanted, too."""
    cluster.psql("CREATE ROLE auditor; GRANT SELECT ON cards TO auditor", database=shop.name)
    try:
        made = shop.back_up()
        with shop.near():
            assert "CREATE ROLE auditor" in backups.roles(shop.site())
    finally:
        cluster.psql("DROP OWNED BY auditor; DROP ROLE auditor", database=shop.name)
    with pytest.raises(RefusedError, match=rf"lacks roles of the backup: auditor[\s\S]*backup\.roles --backup {made}"):
        shop.begin(backup=made)
    assert mine(cluster, shop) == [shop.name]
    assert shop.serves


@pytest.mark.soak
def test_a_backup_that_nobody_proved_is_restored_only_by_its_name(shops: Callable[[], Shop]) -> None:
    shop = shops()
    made = shop.back_up()
    with pytest.raises(RefusedError, match="no backup was ever proven"):
        shop.begin()
    assert shop.begin(backup=made).verdict == "done"


@pytest.mark.parametrize("damage", ["flip", pytest.param("cut", marks=pytest.mark.soak)])
def test_a_damaged_backup_is_never_restored(shop: Shop, cluster: Cluster, damage: str) -> None:
    (dump,) = (shop.base / "store").rglob("database.dump")
    data = dump.read_bytes()
    half = len(data) // 2
    dump.write_bytes(data[:half] if damage == "cut" else data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])
    ended = shop.begin(overrides={"safety": "off"})
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20)
    assert "is not what was written" in ended.reason
    assert mine(cluster, shop) == [shop.name]
    assert shop.serves
    assert not (shop.doors / "log").exists(), "users were disturbed"


@pytest.mark.soak
def test_what_is_kept_goes_when_it_is_due(shop: Shop, cluster: Cluster) -> None:
    shop.begin(overrides={"keep_old_for": "1h"})
    old = kept(cluster, shop)
    with shop.near():
        assert [one.name for one in backups.prune(shop.site()).kept] == [old]
        assert backups.prune(shop.site(), confirmed=True).dropped == ()
        assert old in mine(cluster, shop)
    shop.begin(overrides={"keep_old_for": "0s"})
    with shop.near():
        gone = backups.prune(shop.site(), confirmed=True).dropped
    assert len(gone) == 1
    assert mine(cluster, shop) == [shop.name, old]


def _manifests(shop: Shop) -> list[Path]:
    return list((shop.base / "store").rglob("manifest.json"))
