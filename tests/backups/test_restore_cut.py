"""The connection to the database's host is cut in the middle of the swap: what the database says decides."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dojo_deploy.runs.conduct import Result
from dojo_deploy.session import OpenSession
from dojo_deploy.transports.local import LocalShell
from tests.backups.bed import OWNER, PASSWORD, Cluster
from tests.backups.shop import CARDS, Shop
from tests.backups.test_restore import cards, kept, mine, more
from tests.e2e.relay import Relay
from tests.engine.conftest import quick as quick
from tests.sshd import Server, until

HOLD = "SELECT pg_advisory_lock(7165401), pg_sleep(60)"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class Distant(Shop):
    """Its database is reached over SSH."""

    def through(self, way: Server, relay: Relay) -> None:
        known = self.base / "known_hosts"
        ssh = way.host.ssh
        known.write_text(Path(ssh.known_hosts).read_text().replace(f":{way.port} ", f":{relay.port} "))
        self.document["database"]["host"] = "db1"
        self.document["hosts"]["db"] = [{"name": "db1", "address": "127.0.0.1", "port": relay.port}]
        self.document["ssh"] = {"user": ssh.user, "key": ssh.key, "known_hosts": str(known), "connect_within": "3s"}

    @contextmanager
    def near(self) -> Iterator[None]:
        own = OpenSession._connect

        def connect(session: OpenSession, name: str) -> Any:
            return own(session, name) if name == "db1" else LocalShell(session.inventory.hosts[name])

        with mock.patch.object(OpenSession, "_connect", connect):
            yield


@pytest.fixture
def relay(way: Server) -> Iterator[Relay]:
    made = Relay(way.port)
    yield made
    made.die()


@pytest.fixture
def shop(cluster: Cluster, quick: Path, way: Server, relay: Relay) -> Iterator[Distant]:
    made = Distant.opened_for(quick / "cut", cluster, "cutshop")
    assert isinstance(made, Distant)
    made.through(way, relay)
    made.back_up()
    assert made.drill().wrong == ()
    more(cluster, made.name)
    yield made
    for name in cluster.databases():
        if name.startswith("cutshop"):
            cluster.psql(f"DROP DATABASE {name} WITH (FORCE)")


def begun(shop: Shop, cluster: Cluster, cut: Callable[[], object], **values: str) -> Result:
    """How a restore ends whose connection is cut while its swap waits; the swap itself then goes on, over there."""
    words = [cluster.bin / "psql", "-X", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", OWNER, "-c", HOLD]
    ended: list[Result] = []
    with subprocess.Popen(words, env={"PGPASSWORD": PASSWORD}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        holders = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        until(lambda: cluster.psql(holders) != "", what="the lock to be held")
        run = threading.Thread(target=lambda: ended.append(shop.begin(overrides={"safety": "off", **values})))
        run.start()
        until(lambda: cluster.psql(WAITING) != "0", 60, what="the swap to wait")
        cut()
        cluster.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%7165401), pg_sleep%'"
                     " AND pid <> pg_backend_pid()")  # fmt: skip
        run.join(90)
    assert ended, "it never ended"
    return ended[0]


def was_live(cluster: Cluster, shop: Shop) -> list[str]:
    """What the swap brought and its undoing took away again is kept: users may have written there."""
    about = "SELECT datname FROM pg_database d WHERE shobj_description(oid, 'pg_database') LIKE 'kept by dojo_deploy%'"
    return [name for name in cluster.psql(about).split() if name.startswith(f"{shop.name}_restore_")]


def left(cluster: Cluster, shop: Shop) -> list[str]:
    return sorted(set(mine(cluster, shop)) - set(was_live(cluster, shop)))


def test_it_is_taken_back_although_it_went_through_over_there(shop: Distant, cluster: Cluster, relay: Relay) -> None:
    ended = begun(shop, cluster, relay.cut)
    assert (ended.verdict, ended.exit_code) == ("rolled back", 20), ended.reason
    assert "connection lost" in ended.reason
    until(lambda: cluster.psql(WAITING) == "0", what="what was cut off to end")
    assert cards(cluster, shop.name) == CARDS + 7
    assert left(cluster, shop) == [shop.name]
    assert shop.serves
    assert shop.is_clean()


@pytest.mark.soak
@pytest.mark.parametrize("abort", [False, True], ids=["resumed", "aborted"])
def test_where_the_host_stays_away_whoever_goes_on_asks_the_database(
    shop: Distant, cluster: Cluster, relay: Relay, abort: bool
) -> None:
    ended = begun(shop, cluster, relay.die, on_failure="halt")
    assert ended.exit_code == 30, (ended.verdict, ended.reason)
    until(lambda: "_old_" in str(mine(cluster, shop)), what="the swap that nobody heard of")
    assert (shop.doors / "closed").exists(), "users see a database that nobody has looked at"

    relay.listen()
    again = shop.go_on(abort=abort)

    assert (again.verdict, again.exit_code) == ("aborted" if abort else "done", 0), again.reason
    assert cards(cluster, shop.name) == (CARDS + 7 if abort else CARDS)
    assert mine(cluster, shop) == ([shop.name, *was_live(cluster, shop)] if abort else [shop.name, kept(cluster, shop)])
    assert shop.serves
    assert shop.is_clean()


@pytest.mark.soak
def test_a_host_that_stays_away_is_undone_once_it_is_back(shop: Distant, cluster: Cluster, relay: Relay) -> None:
    ended = begun(shop, cluster, relay.die)
    assert ended.exit_code == 30, (ended.verdict, ended.reason)
    assert not shop.serves

    relay.listen()
    again = shop.go_on()

    assert cards(cluster, shop.name) == CARDS + 7, (again.verdict, again.reason)
    assert left(cluster, shop) == [shop.name]
    assert shop.serves
    assert shop.is_clean()
