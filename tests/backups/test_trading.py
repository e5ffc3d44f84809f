"""Two databases trade places, and again: from any state, and with nothing lost that anybody committed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dojo_deploy.backups.kept import SAYS
from dojo_deploy.database import Swap
from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.databases.postgres_beside_scripts import KEPT, WHOLE
from dojo_deploy.errors import BackupError
from dojo_deploy.session import OpenSession
from tests.backups.bed import ROLE, Bed, Cluster

LIVE, NEW, OLD = "trade", "trade_restore_20261127t201800z", "trade_old_20261127t201800z"
SWAP = Swap(LIVE, NEW, OLD, "2026-12-04T20:18:00Z", comment="the shop")
KEPT_BEFORE = f"{KEPT}2026-12-01T00:00:00Z: the shop"


@pytest.fixture
def trader(local: Bed) -> Iterator[tuple[OpenSession, Postgres]]:
    session = OpenSession(local.site)
    try:
        yield session, local.cluster.settings()
    finally:
        session.close()
        for name in local.cluster.databases():
            if name.startswith("trade"):
                local.cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


def made(cluster: Cluster, name: str, comment: str) -> None:
    cluster.psql(f"CREATE DATABASE {name} OWNER {ROLE}")
    cluster.psql(f"COMMENT ON DATABASE {name} IS '{comment}'")


def there(cluster: Cluster) -> dict[str, str]:
    """Name -> comment, and, for one that takes no connections, a mark before it."""
    rows = cluster.psql(
        "SELECT datname, CASE WHEN datallowconn THEN '' ELSE 'shut ' END || shobj_description(oid, 'pg_database')"
        " FROM pg_database WHERE datname LIKE 'trade%' ORDER BY 1"
    )
    return dict(line.split("|") for line in rows.splitlines())


def test_what_users_committed_before_a_restore_was_undone_is_kept(
    trader: tuple[OpenSession, Postgres], cluster: Cluster
) -> None:
    session, database = trader
    made(cluster, LIVE, "the shop")
    made(cluster, NEW, WHOLE)
    database.swap(session, SWAP)
    cluster.psql("CREATE TABLE paid AS SELECT 7 AS cents", database=LIVE, user=ROLE)
    for _ in range(2):
        database.swap_back(session, SWAP)
        database.drop_scratch(session, NEW)
        assert there(cluster) == {LIVE: "the shop", NEW: f"shut {KEPT}2026-12-04T20:18:00Z: the shop"}
    with pytest.raises(BackupError, match="did not answer"):  # a second one, on its way since
        database.swap(session, SWAP)
    cluster.psql(f"ALTER DATABASE {NEW} ALLOW_CONNECTIONS true")
    assert cluster.psql("SELECT cents FROM paid", database=NEW, user=ROLE) == "7"


def test_undoing_the_undoing_of_a_restore_keeps_the_only_copy(
    trader: tuple[OpenSession, Postgres], cluster: Cluster
) -> None:
    session, database = trader
    made(cluster, OLD, KEPT_BEFORE)
    swap = replace(SWAP, new=OLD, old="trade_undone_20261128t201800z", is_alone=True, kept_until="2026-12-01T00:00:00Z")
    database.swap(session, swap)
    assert there(cluster) == {LIVE: "the shop"}
    database.swap_back(session, swap)
    database.drop_scratch(session, OLD)
    (comment,) = there(cluster).values()
    assert SAYS.match(comment.removeprefix("shut "))


@pytest.mark.parametrize("kept", [False, True])
def test_a_swap_that_comes_after_its_undoing_does_nothing(
    trader: tuple[OpenSession, Postgres], cluster: Cluster, kept: bool
) -> None:
    session, database = trader
    made(cluster, LIVE, "the shop")
    made(cluster, NEW, KEPT_BEFORE if kept else WHOLE)
    swap = replace(SWAP, kept_until="2026-12-01T00:00:00Z" if kept else "")
    database.swap_back(session, swap)
    with pytest.raises(BackupError, match="did not answer"):
        database.swap(session, swap)
    database.drop_scratch(session, NEW)
    assert there(cluster) == {LIVE: "the shop", **({NEW: f"{KEPT}2026-12-04T20:18:00Z: the shop"} if kept else {})}


def test_a_state_that_no_swap_leaves_is_told_and_not_touched(
    trader: tuple[OpenSession, Postgres], cluster: Cluster
) -> None:
    session, database = trader
    for name in (LIVE, NEW, OLD):
        made(cluster, name, WHOLE)
    with pytest.raises(BackupError, match="did not answer") as caught:
        database.swap_back(session, SWAP)
    assert "neither before a swap nor behind it" in caught.value.hint
    assert there(cluster) == {LIVE: WHOLE, NEW: WHOLE, OLD: WHOLE}
    cluster.psql(f"DROP DATABASE {LIVE}")
    with pytest.raises(BackupError, match="did not answer"):
        database.swap_back(session, SWAP)
