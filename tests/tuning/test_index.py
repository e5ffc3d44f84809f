"""An index beside the writes: what the typed line does to a shop, and what ours does with the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.app import tuning
from dojo_deploy.app.drafts import Wanted
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.events import Event, OutputWritten
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.steps.concurrently import Patience
from tests.backups.bed import OWNER, PASSWORD, processes
from tests.sshd import Server, until
from tests.tuning.bed import ROLE, Shop, inventory

TYPED = "CREATE INDEX idx_products_price ON products(price)"
WRITE = "UPDATE products SET name = name WHERE id = 1"


def said(events: list[Event]) -> str:
    return "\n".join(event.line for event in events if isinstance(event, OutputWritten))


def test_the_typed_line_shuts_writers_out_and_ours_does_not(either: Shop) -> None:
    with either.session(f"BEGIN; {TYPED};"):
        locks = either.sql("SELECT mode FROM pg_locks WHERE relation = 'products'::regclass AND mode LIKE 'Share%'")
        assert "ShareLock" in locks.split()
        assert "lock timeout" in either.fails(f"SET lock_timeout = '300ms'; {WRITE}")
    # An old transaction holds the concurrent build up, in the middle, for as long as we look.
    with either.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;"):
        process = either.invoke("db.index", "products", "price")
        either.building(process)
        either.sql(f"SET lock_timeout = '300ms'; {WRITE}")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert either.indexes()["products_price_idx"]


def test_if_not_exists_passes_an_invalid_index_over_and_ours_drops_it(each: Shop) -> None:
    each.fails("CREATE UNIQUE INDEX CONCURRENTLY products_price_idx ON products (price)")
    assert each.indexes()["products_price_idx"] is False
    each.sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS products_price_idx ON products (price)")  # ends 0
    assert each.indexes()["products_price_idx"] is False

    events: list[Event] = []
    result = each.index(events=events)

    assert result.verdict == "done", result.reason
    assert "invalid: dropped first" in said(events)
    assert each.indexes()["products_price_idx"] is True
    again = each.index()
    assert (again.run, again.reason) == ("", "public.products_price_idx is there, and valid")
    (run,) = app.history(each.site)
    assert (run["strategy"], run["verdict"]) == ("index", "done")


def test_rows_that_are_alike_fail_a_unique_index_and_leave_none(shop: Shop) -> None:
    result = shop.index(is_unique=True, name="unique_price")

    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert "could not create unique index" in result.reason
    assert "Key (price)=" in result.reason
    assert set(shop.indexes()) == {"products_pkey", "orders_pkey"}


def test_a_lock_that_does_not_come_free_is_tried_again_then_told_and_nothing_is_left(shop: Shop) -> None:
    events: list[Event] = []
    with shop.session(f"BEGIN; {WRITE};", application="forgotten"):
        result = shop.index(lock_within=0.3, tries=2, events=events)
        left = shop.indexes()

    assert result.verdict == "mixed", result.reason  # dropping it waits for the same transaction
    assert "attempt 1 of 2" in said(events)
    assert "process" in result.reason and "of forgotten (idle in transaction)" in result.reason
    assert left["products_price_idx"] is False
    assert app.abort(shop.site).verdict == "aborted"
    assert "products_price_idx" not in shop.indexes()


def test_a_lock_that_comes_free_meanwhile_is_no_failure(shop: Shop) -> None:
    events: list[Event] = []
    with shop.session(f"BEGIN; {WRITE};") as held:

        def let_go(event: Event) -> None:
            events.append(event)
            if "attempt 1" in said([event]):
                held.stdin.close()  # type: ignore[union-attr]

        patience = Patience(60.0, 0.5, 3)
        wanted = Wanted("products", "price")
        result = tuning.run(shop.site, tuning.indexing(wanted, patience), wishes=Wishes(subscribers=(let_go,)))
    assert result.verdict == "done", result.reason
    assert shop.indexes()["products_price_idx"]


@pytest.mark.parametrize(
    ("verb", "server"),
    [
        ("resume", "dies too"),
        ("abort", "goes on"),
        pytest.param("resume", "goes on", marks=pytest.mark.soak),
        pytest.param("abort", "dies too", marks=pytest.mark.soak),
    ],
)
def test_a_controller_that_is_killed_leaves_no_invalid_index_behind(shop: Shop, verb: str, server: str) -> None:
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;"):
        process = shop.invoke("db.index", "products", "price")
        shop.building(process)
        process.kill()
        process.communicate(timeout=10)
        assert shop.indexes()["products_price_idx"] is False
        if server == "dies too":
            shop.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
            shop.quiet()
        refused = shop.ended("db.index", "products", "price", status=10)
        assert "invoke resume" in refused
    if server == "goes on":
        shop.quiet()
    shop.ended(verb)
    built = verb == "resume" or server == "goes on"  # what is valid is not taken away
    assert shop.indexes().get("products_price_idx") is (True if built else None)


def test_a_resume_while_the_server_still_builds_waits_for_it_instead_of_building_twice(shop: Shop) -> None:
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;"):
        process = shop.invoke("db.index", "products", "price")
        shop.building(process)
        process.kill()
        process.communicate(timeout=10)
        before = shop.sql("SELECT 'products_price_idx'::regclass::oid")
        resumed = shop.invoke("resume", "--verbose")
        until(lambda: "waiting" in (resumed.stdout.readline()), 30, "it to say so")  # type: ignore[union-attr]
    out, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, out + err
    assert shop.indexes()["products_price_idx"]
    assert shop.sql("SELECT 'products_price_idx'::regclass::oid") == before


def test_a_signal_stops_the_build_and_leaves_nothing_but_a_run_to_resume(shop: Shop) -> None:
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;") as held:
        process = shop.invoke("db.index", "products", "price", "--lock-within", "1m")
        shop.building(process)
        process.send_signal(signal.SIGINT)
        shop.quiet()
        held.stdin.close()  # type: ignore[union-attr]
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "products_price_idx" not in shop.indexes()
    shop.ended("resume")
    assert shop.indexes()["products_price_idx"]


def test_a_connection_that_is_cut_is_asked_again_what_became_of_it(shop: Shop, way: Server) -> None:
    events: list[Event] = []
    cut: list[bool] = []
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;") as held:

        def listen(event: Event) -> None:
            events.append(event)
            if "waiting" in said([event]) and not cut:
                cut.append(True)
                way.signal_sessions(signal.SIGKILL)
            if "what became of it" in said([event]):
                held.stdin.close()  # type: ignore[union-attr]

        wanted = Wanted("products", "price")
        result = tuning.run(
            shop.site,
            tuning.indexing(wanted, Patience(60.0, 30.0)),
            wishes=Wishes(subscribers=(listen,)),
        )
    assert result.verdict == "done", result.reason
    assert "what became of it" in said(events)
    assert shop.indexes()["products_price_idx"]


def test_it_is_done_as_the_owner_of_the_tables_and_the_password_is_in_no_argument(
    shop: Shop, way: Server, tmp_path: Path
) -> None:
    owner = {"user": ROLE, "password": {"env": "TUNING_TEST_PASSWORD"}}
    other = Shop(shop.cluster, inventory(shop.cluster, way, tmp_path / "other", user="no_such_role", owner=owner))
    with shop.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;"):
        process = other.invoke("db.index", "products", "price")
        shop.building(process)
        words = [b" ".join(words) for _, words, _ in processes()]
    assert process.communicate(timeout=60) and process.returncode == 0
    assert [line for line in words if b"psql" in line]
    assert not [line for line in words if PASSWORD.encode() in line]
    assert shop.indexes()["products_price_idx"]


def test_no_time_at_all_is_refused_since_to_the_server_it_is_for_ever(shop: Shop) -> None:
    assert "wants some time" in shop.ended("db.index", "products", "price", "--lock-within", "0s", status=2)


def test_another_index_of_the_same_name_is_refused(shop: Shop) -> None:
    shop.sql("CREATE INDEX products_price_idx ON products (name)")
    with pytest.raises(RefusedError, match=r"another index: USING btree \(name\)"):
        shop.index()


def test_what_is_asked_for_is_what_is_built(shop: Shop) -> None:
    plan = tuning.plan(
        shop.site,
        tuning.indexing(
            Wanted("products", "price desc nulls last, lower(name)", include="id", where="price > 1"),
            Patience(),
        ),
    )
    assert "CREATE INDEX CONCURRENTLY products_price_expr_" in plan.outline(commands=True)  # type: ignore[union-attr]
    assert set(shop.indexes()) == {"products_pkey", "orders_pkey"}
    result = shop.index("price desc nulls last, lower(name)", include="id", where="price > 1")
    assert result.verdict == "done", result.reason
    defined = shop.sql("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'products_price_expr%'")
    assert defined.endswith(
        "USING btree (price DESC NULLS LAST, lower(name)) INCLUDE (id) WHERE (price > (1)::numeric)"
    )


@pytest.mark.parametrize(
    ("columns", "more", "why"),
    [
        ("prise", {}, "does not exist"),
        ("random()", {}, "IMMUTABLE"),
        ("price", {"where": "nothing_such > 1"}, "does not exist"),
        ("price", {"table": "no_table"}, "no table 'no_table'"),
        ("price", {"method": "btee"}, "does not exist"),
        ("price", {"table": "pg_catalog.pg_class"}, "only its owner"),
    ],
)
def test_what_the_server_would_not_build_is_refused_before_anything(
    shop: Shop, columns: str, more: dict[str, str], why: str
) -> None:
    with pytest.raises(RefusedError, match=why):
        shop.index(columns, **more)
    assert app.history(shop.site) == ()


@pytest.mark.parametrize(
    ("columns", "more"),
    [
        ("price); DROP TABLE products; --", {}),
        ("price", {"where": "true; COMMIT; DROP TABLE products"}),
        ("price", {"where": "true -- and"}),
        ("price", {"where": "true) TABLESPACE x, (true"}),
        ("price", {"table": "products; DROP TABLE products"}),
        ("price", {"table": "products \\! touch /tmp/owned"}),
        ("price", {"name": "a.b"}),
        ("", {}),
    ],
)
def test_what_is_more_than_an_index_is_refused_unread(shop: Shop, columns: str, more: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        shop.index(columns, **more)


def test_a_table_that_is_too_large_for_the_disk_is_refused(shop: Shop) -> None:
    shop.sql("UPDATE pg_class SET reltuples = 1e15 WHERE relname = 'products'", user=OWNER)
    try:
        with pytest.raises(RefusedError, match=r"may take .* TB of disk .* are free"):
            shop.index()
    finally:
        shop.sql("ANALYZE products")
