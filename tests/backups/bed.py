"""A real PostgreSQL, reached over real SSH, backed up into real stores."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import App, Host, Inventory
from dojo_deploy.sandbox import toolchain
from dojo_deploy.secrets import Secret
from dojo_deploy.session import OpenSession

PASSWORD = 'it\'s "$HOME" \\ und ü'
OWNER, ROLE, NAME = "postgres", "shop", "shop"
TABLES = '''
CREATE TABLE cards (id int PRIMARY KEY, name text UNIQUE NOT NULL, noise text);
INSERT INTO cards SELECT n, 'card ' || n, (SELECT string_agg(md5(n || 'x' || k), '') FROM generate_series(1, 32) k)
  FROM generate_series(1, {cards}) n;
CREATE TABLE decks (id serial PRIMARY KEY, card int REFERENCES cards CHECK (card > 0));
INSERT INTO decks (card) SELECT 1 + n % 100 FROM generate_series(1, 500) n;
CREATE TABLE games (day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE games_24 PARTITION OF games FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO games VALUES ('2024-05-01'), ('2024-06-01');
CREATE SCHEMA "it's ""odd""";
CREATE TABLE "it's ""odd"""."a\tname" (x int);
INSERT INTO "it's ""odd"""."a\tname" VALUES (1), (2), (3);
CREATE TABLE _prisma_migrations (migration_name text PRIMARY KEY, checksum text, logs text);
INSERT INTO _prisma_migrations VALUES ('0001_cards', 'ab12', 'a long log');
'''


@dataclass(frozen=True)
class Cluster:
    folder: Path
    port: int
    pid: int
    bin: Path

    def psql(self, sql: str, *, database: str = "postgres", user: str = OWNER) -> str:
        done = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
             "-p", str(self.port), "-U", user, "-d", database],
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD}, input=sql, capture_output=True,
            text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def session(self, sql: str, *, database: str = NAME) -> Iterator[Callable[[], bool]]:
        """Somebody else's session, which is at work with `sql`; to ask whether it has come to its last statement."""
        words = [self.bin / "psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", ROLE, "-d", database]
        env = {"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD, "PGAPPNAME": "somebody"}
        asks = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'somebody' AND wait_event = 'PgSleep'"
        steps = [part for each in sql.split("; ") for part in ("-c", each)]
        with subprocess.Popen([*words, *steps], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            yield lambda: self.psql(asks) == "1"
            one.terminate()

    def databases(self) -> set[str]:
        return set(self.psql("SELECT datname FROM pg_database WHERE NOT datistemplate").split())

    def dumps(self) -> list[int]:
        """Processes of pg_dump that work on this cluster."""
        mark = f"PGPORT={self.port}".encode()
        return [pid for pid, words, env in processes() if words[0].endswith(b"pg_dump") and mark in env]

    def settings(self, **more: Any) -> Postgres:
        os.environ["BACKUP_TEST_PASSWORD"] = PASSWORD
        known: dict[str, Any] = {
            "name": NAME, "host": "db1", "address": "127.0.0.1", "port": self.port, "user": ROLE,
            "password": Secret("env", "BACKUP_TEST_PASSWORD"), "bin": str(self.bin),
        }  # fmt: skip
        return Postgres(**{**known, **more})


def processes() -> Iterator[tuple[int, list[bytes], list[bytes]]]:
    """Every process: its id, its words, its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            env = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        yield int(folder.name), words, env


@contextmanager
def running(
    folder: Path, programs: Path | None = None, *, options: tuple[str, ...] = (), made_with: tuple[str, ...] = ()
) -> Iterator[Cluster]:
    """PostgreSQL 18, or the one whose programs lie in a folder; `options` are its own, `made_with` initdb's."""
    try:
        toolchain.require()
    except ConfigError as exc:
        pytest.skip(exc.message)
    folder.chmod(0o755)
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
    programs, data, secret = programs or toolchain.postgres(), folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-U", OWNER, "-A", "scram-sha-256", f"--pwfile={secret}",
         "--no-sync", "--no-instructions", "--locale=C.UTF-8", "-E", "UTF8", *made_with],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*prefix, programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F",
             "-c", "shared_buffers=16MB", "-c", "max_wal_senders=0", "-c", "wal_level=minimal", *options],
            stdout=log, stderr=log,
        )  # fmt: skip
    cluster = Cluster(folder, port, server.pid, programs)
    try:
        _until_it_answers(cluster)
        yield cluster
    finally:
        server.terminate()
        server.send_signal(2)
        server.wait(20)
        shutil.rmtree(data, ignore_errors=True)


def _until_it_answers(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    words = [cluster.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(cluster.port)]
    while subprocess.run(words, timeout=10).returncode:
        assert time.monotonic() < deadline, (cluster.folder / "log").read_text()
        time.sleep(0.05)


@dataclass(frozen=True)
class Bed:
    """One database, one way to it, one store."""

    cluster: Cluster
    site: Inventory

    def with_(self, **changes: Any) -> Bed:
        return replace(self, site=replace(self.site, **changes))

    def keys(self) -> tuple[str, ...]:
        session = OpenSession(self.site)
        try:
            return session.store.list("")
        finally:
            session.close()

    def put(self, key: str, change: Any) -> None:
        """Replaces a stored object by `change` of its bytes, as a disk or a hand might."""
        session = OpenSession(self.site)
        try:
            with session.store.outgoing(key) as source:
                assert source is not None
                data = source.read()
            with session.store.incoming(key) as sink:
                sink(change(data))
        finally:
            session.close()


def site(host: Host, store: Any, database: Postgres) -> Inventory:
    nothing: Any = None
    return Inventory(
        app=App(name="shop", environment="test"),
        hosts={"db1": replace(host, name="db1")},
        groups={"web": ("db1",)},
        store=store,
        balancer=nothing,
        database=database,
    )
