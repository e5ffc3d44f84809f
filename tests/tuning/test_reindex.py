"""Indexes rebuilt and tables vacuumed while they serve; whatever dies on the way, no invalid index is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.app import tuning
from dojo_deploy.errors import ConfigError, DatabaseError
from dojo_deploy.events import Event
from dojo_deploy.session import opened
from dojo_deploy.steps.concurrently import Patience
from dojo_deploy.tuning import Work
from tests.backups.bed import OWNER, PASSWORD, Cluster
from tests.sshd import Server
from tests.tuning.bed import Shop, inventory
from tests.tuning.test_index import WRITE

READ = "SELECT count(*) FROM products WHERE id = 5"


def oid(shop: Shop, index: str) -> str:
    return shop.sql(f"SELECT '{index}'::regclass::oid")


def test_the_typed_line_shuts_everybody_out_and_ours_nobody(either: Shop) -> None:
    assert "can only reindex the currently open database" in either.fails("REINDEX DATABASE postgres")
    # Until its end the typed line holds, of each table in turn, the writers, and of each index whoever would use it.
    with either.session("BEGIN; REINDEX TABLE products;"):
        assert "lock timeout" in either.fails(f"SET lock_timeout = '300ms'; {WRITE}")
        assert "lock timeout" in either.fails(f"SET lock_timeout = '300ms'; {READ}")
    before = oid(either, "products_pkey")
    with either.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM products;"):
        process = either.invoke("db.reindex", "--table", "products")
        either.building(process)
        either.sql(f"SET lock_timeout = '300ms'; {WRITE}; {READ}")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert oid(either, "products_pkey") != before
    assert set(either.indexes()) == {"products_pkey", "orders_pkey"}


def test_all_indexes_are_rebuilt_one_after_the_other(shop: Shop) -> None:
    shop.sql('CREATE INDEX by_price ON products (price); CREATE INDEX "Odd ""name" ON orders (email)')
    before = {name: oid(shop, name) for name in shop.indexes()}
    plan = tuning.plan(shop.site, tuning.reindexing(everything=True, patience=Patience()))
    assert '$ REINDEX INDEX CONCURRENTLY public."Odd ""name"\n' in plan.outline(commands=True)  # type: ignore[union-attr]
    result = shop.reindex(everything=True)
    assert result.verdict == "done", result.reason
    after = {name: oid(shop, name) for name in shop.indexes()}
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert all(shop.indexes().values())


@pytest.mark.parametrize("verb", ["resume", pytest.param("abort", marks=pytest.mark.soak)])
def test_a_controller_and_a_server_that_die_leave_nothing_half_built(shop: Shop, verb: str) -> None:
    shop.sql("CREATE INDEX by_price ON products (price)")
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM products;"):
        process = shop.invoke("db.reindex", "--table", "products")
        shop.building(process)
        process.kill()
        process.communicate(timeout=10)
        shop.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
        shop.quiet()
    left = [name for name, valid in shop.indexes().items() if not valid]
    assert left and all("_ccnew" in name for name in left)
    shop.ended(verb)
    assert shop.indexes() == {"products_pkey": True, "orders_pkey": True, "by_price": True}


def test_what_others_left_is_found_and_dropped(shop: Shop) -> None:
    shop.sql("CREATE INDEX by_price ON products (price)")
    with shop.session(f"BEGIN; {WRITE};"):
        shop.fails("SET lock_timeout = '200ms'; REINDEX INDEX CONCURRENTLY by_price")
    assert shop.indexes()["by_price_ccnew"] is False
    events: list[Event] = []
    result = shop.reindex(index="by_price", events=events)
    assert result.verdict == "done", result.reason
    assert shop.indexes() == {"products_pkey": True, "orders_pkey": True, "by_price": True}


def test_a_valid_index_of_such_a_name_is_somebody_s_own(shop: Shop) -> None:
    shop.sql("CREATE INDEX by_price ON products (price); CREATE INDEX by_price_ccnew ON products (name)")
    result = shop.reindex(table="products")
    assert result.verdict == "done", result.reason
    assert shop.indexes()["by_price_ccnew"]


def test_an_index_that_a_failed_build_left_invalid_is_made_whole(shop: Shop) -> None:
    with shop.session(f"BEGIN; {WRITE};"):
        shop.fails("SET lock_timeout = '200ms'; CREATE INDEX CONCURRENTLY by_price ON products (price)")
    assert shop.indexes()["by_price"] is False
    result = shop.reindex(index="by_price")
    assert result.verdict == "done", result.reason
    assert shop.indexes()["by_price"] is True


def test_an_exclusion_constraint_is_left_out_and_said_so(shop: Shop) -> None:
    shop.sql("CREATE TABLE spans (span int4range, EXCLUDE USING gist (span WITH &&))")
    try:
        found = tuning.plan(shop.site, tuning.reindexing(table="spans", patience=Patience()))
        assert "no exclusion constraint is rebuilt so" in str(found)
    finally:
        shop.sql("DROP TABLE spans")


def test_one_of_index_table_and_all_has_to_be_named(shop: Shop) -> None:
    for which in ({}, {"index": "a", "table": "b"}, {"index": "a", "everything": True}):
        with pytest.raises(ConfigError, match="one of --index, --table and --all"):
            tuning.reindexing(**which, patience=Patience())  # type: ignore[arg-type]
    assert "names 0 indexes" in shop.ended("db.reindex", "--index", "none_such", status=10)


def test_dead_rows_are_cleared_away_table_by_table(each: Shop) -> None:
    each.sql("UPDATE products SET name = name WHERE id <= 5000; SELECT pg_stat_clear_snapshot()")
    outline = each.ended("db.vacuum", "--dry-run")
    assert "VACUUM (ANALYZE, TRUNCATE FALSE) public.products" in outline
    assert "public.orders" not in outline
    assert "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 200" in outline
    each.ended("db.vacuum")
    done = each.sql("SELECT n_dead_tup, vacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'products'")
    assert done == "0|t"
    assert "no table is worth it" in each.ended("db.vacuum")


def test_a_table_that_the_server_skips_is_no_success(fifteen: Cluster, shop: Shop, way: Server, tmp_path: Path) -> None:
    quoted = PASSWORD.replace("'", "''")
    shop.sql(f"CREATE ROLE guest LOGIN PASSWORD '{quoted}'", user=OWNER)
    guest = Shop(fifteen, inventory(fifteen, way, tmp_path / "guest", user="guest"))
    try:
        typed = shop.typed("VACUUM products", user="guest")
        assert typed.returncode == 0
        assert "permission denied to vacuum" in typed.stderr or "only table or database owner" in typed.stderr
        assert "may vacuum no table" in guest.ended("db.vacuum", "--table", "products")
        with opened(guest.site) as session:
            database = guest.site.database
            assert database
            table = database.tuning.table(session, ("", "products"))
            with pytest.raises(DatabaseError, match="vacuum"):
                database.tuning.work(session, Work("VACUUM products", table.oid, 30.0, 5.0))
    finally:
        shop.sql("DROP ROLE guest", user=OWNER)
    assert app.history(guest.site) == ()
