"""A plan without the deed, what takes the time, and who is connected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.app import tuning
from dojo_deploy.app.pressure import pressure
from dojo_deploy.errors import DatabaseError
from dojo_deploy.session import opened
from dojo_deploy.tuning import Connections
from tests.backups.bed import OWNER, Cluster
from tests.sshd import Server, until
from tests.tuning.bed import Shop, inventory
from tests.tuning.test_index import WRITE

DELETE = "DELETE FROM orders WHERE id = 7"
COUNT = "SELECT count(*) FROM orders"


def test_the_typed_analyze_deletes_and_ours_does_not(either: Shop) -> None:
    whole = either.sql(COUNT)
    either.sql(f"EXPLAIN ANALYZE {DELETE}")
    assert either.sql(COUNT) == str(int(whole) - 1)
    either.sql("INSERT INTO orders VALUES (7, 7, 'user7@example.org')")

    plan = either.ended("db.explain", DELETE)
    assert "Delete on orders" in plan and "actual" not in plan
    measured = either.ended("db.explain", DELETE, "--analyze")
    assert "actual" in measured and "it ran, and was rolled back" in measured
    assert either.sql(COUNT) == whole
    (found,) = json.loads(either.ended("db.explain", DELETE, "--json"))
    assert found["Plan"]["Operation"] == "Delete"


@pytest.mark.parametrize(
    ("query", "analyze", "why"),
    [
        ("SELECT pg_sleep(30)", True, "statement timeout"),
        ("SELECT set_config('transaction_read_only', 'off', true), lo_create(0)", True, "read-only|read-write"),
        ("SELECT * FROM none_such", False, "does not exist"),
        # A server or a tokenizer that is talked round would still be in a block that cannot end its transaction.
        ("SELECT 1 FROM no_such(E'\\'')", False, "does not exist"),
    ],
)
def test_what_goes_wrong_in_it_is_told_and_changes_nothing(shop: Shop, query: str, analyze: bool, why: str) -> None:
    with pytest.raises(DatabaseError, match=why):
        tuning.explain(shop.site, query, analyze=analyze, within=0.5)


def test_a_statement_with_everything_that_psql_reads_for_itself_arrives_as_it_is(shop: Shop) -> None:
    query = (
        "SELECT ':name' || :'x' AS \"a\\b\",\n '\\gexec' -- ; \\! false\n FROM orders WHERE email = 'it''s $$ %I %s'"
    )
    assert "Seq Scan on orders" in tuning.explain(shop.site, query.replace(":'x'", "'x'"))


def test_more_than_one_statement_is_refused_with_the_documented_status(shop: Shop) -> None:
    said = shop.ended("db.explain", "SELECT 1; DROP TABLE orders", status=2)
    assert "wants one statement, got 2" in said
    assert "leave EXPLAIN away" in shop.ended("db.explain", "EXPLAIN ANALYZE SELECT 1", status=2)


def test_what_takes_the_time_is_told_without_what_users_typed(shop: Shop) -> None:
    shop.sql("SELECT count(*), 'secret one' FROM orders WHERE email LIKE '%secret two%'")
    said = shop.ended("db.slow-queries", "--top", "200")
    assert "by pg_stat_statements 1.10" in said
    assert "SELECT count(*), $1 FROM orders" in said
    assert "secret" not in said
    assert "nothing runs long, and nobody waits for a lock" in said


def test_without_statistics_it_says_so(eighteen: Cluster, way: Server, tmp_path: Path) -> None:
    found = tuning.slow(Shop(eighteen, inventory(eighteen, way, tmp_path)).site)
    assert (found.source, found.why) == ("", "pg_stat_statements is not among the extensions of this database")


def test_who_waits_for_whom_is_a_tree(each: Shop) -> None:
    with each.session(f"BEGIN; {WRITE};", application="first"):
        second = each.typing(f"/* second */ {WRITE}")
        until(lambda: each.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1", 10)
        said = each.ended("db.slow-queries")
        first = each.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'first'")
        found = json.loads(each.ended("db.slow-queries", "--json"))
    second.communicate(timeout=30)
    assert second.returncode == 0
    lines = said.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"process {first} of first: idle in tr")]
    assert lines[at + 1].startswith("  └ process") and "waits for Lock: transactionid" in lines[at + 1]
    assert [one["blocked_by"] for one in found["running"] if one["blocked_by"]] == [[int(first)]]


def test_the_typed_count_counts_the_server_itself_and_ours_counts_clients(each: Shop) -> None:
    typed = int(each.sql("SELECT count(*) FROM pg_stat_activity"))
    clients = each.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    assert clients == "1"
    assert typed > 4
    with each.session("SELECT 1", application="web"), each.session("BEGIN; SELECT 1;", application="web"):
        seen = tuning.connections(each.site).seen
        said = each.ended("db.connections")
    assert seen.used == 2
    assert seen.background >= typed - 1
    assert {(one.application, one.state, one.count) for one in seen.counted} == {
        ("web", "idle", 1),
        ("web", "idle in transaction", 1),
    }
    assert seen.limit == 97
    assert "1 hosts × 2 processes × a pool of 10 = 20, 40 while two colours run" in said


def test_a_forgotten_transaction_is_an_alarm_and_is_ended_only_when_confirmed(
    fifteen: Cluster, way: Server, tmp_path: Path
) -> None:
    shop = Shop(fifteen, inventory(fifteen, way, tmp_path, leaked_after="1s"))
    there = (
        "SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM pg_stat_activity WHERE state ~ 'idle'"
    )
    assert "no session is idle" in shop.ended("db.connections", "--terminate", "--confirm")
    with (
        shop.session(f"BEGIN; {WRITE};", application="forgotten"),
        shop.session("SELECT 1", application="idle"),
        shop.session("BEGIN; SELECT 1;", application="dojo_deploy"),
    ):
        until(lambda: tuning.connections(shop.site).seen.leaks, 10, "it to be old")
        said = shop.ended("db.connections", status=30)
        assert "ALARM   1 sessions are idle in a transaction" in said
        assert "of forgotten at 127.0.0.1" in said
        assert "after UPDATE products SET name = name WHERE id = ?" in said
        shown = shop.ended("db.connections", "--terminate")
        assert "SELECT pg_terminate_backend(" in shown and "nothing was ended" in shown
        assert shop.sql(there) == "dojo_deploy forgotten idle"
        shop.ended("db.connections", "--terminate", "--confirm")
        assert shop.sql(there) == "dojo_deploy idle"
    (run,) = app.history(shop.site)
    assert (run["strategy"], run["verdict"]) == ("terminate", "done")


def test_a_session_that_wakes_up_meanwhile_is_let_alone(fifteen: Cluster, way: Server, tmp_path: Path) -> None:
    shop = Shop(fifteen, inventory(fifteen, way, tmp_path, leaked_after="1s"))
    with shop.session(f"BEGIN; {WRITE};", application="slow") as held:
        until(lambda: tuning.connections(shop.site).seen.leaks, 10, "it to be old")
        (leak,) = tuning.connections(shop.site).seen.leaks
        assert held.stdin and held.stdout
        held.stdin.write("SELECT 1;\n\\echo awake\n")
        held.stdin.flush()
        until(lambda: held.stdout.readline() == "awake\n", 10)  # type: ignore[union-attr]
        with opened(shop.site) as session:
            assert shop.site.database
            assert shop.site.database.tuning.end(session, leak) is False
        held.stdin.write("COMMIT;\n")
    assert shop.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow'") == "0"


@pytest.mark.parametrize(
    ("used", "limit", "demand", "said"),
    [
        (10, 97, 20, ""),
        (88, 97, 20, "88 of 97 connections are taken"),
        (10, 19, 20, "the pools may open more than there are"),
        (10, 39, 20, "a blue-green deployment may open more than there are"),
    ],
)
def test_the_arithmetic_of_pools(shop: Shop, used: int, limit: int, demand: int, said: str) -> None:
    found = pressure(shop.site, Connections(limit, 3, used, 6, 0, 300.0, (), ()))
    assert found.demand == demand
    text = "; ".join((*found.alarms, *found.warnings))
    assert text.startswith(said) and bool(text) is bool(said)


def test_a_role_that_may_not_see_others_says_so(shop: Shop) -> None:
    shop.cluster.psql("REVOKE pg_monitor FROM shop")
    try:
        with shop.session("SELECT 1", user=OWNER):
            found = tuning.connections(shop.site)
    finally:
        shop.cluster.psql("GRANT pg_monitor TO shop")
    assert (found.seen.used, found.seen.hidden) == (1, 1)
    assert "GRANT pg_monitor" in "".join(found.warnings)
