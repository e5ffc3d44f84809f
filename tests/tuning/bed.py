"""A shop's database that serves, sessions that stand in the way, and the command line that tunes it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojo_deploy import load_inventory
from dojo_deploy.app import tuning
from dojo_deploy.app.drafts import Wanted
from dojo_deploy.events import Event
from dojo_deploy.inventory import Inventory
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.steps.concurrently import Patience
from tests.backups.bed import PASSWORD, Cluster
from tests.sshd import Server, until

NAME, ROLE = "shop", "shop"
DOJO = str(Path(sys.executable).with_name("dojo"))
TABLES = """
CREATE TABLE products (id int PRIMARY KEY, price numeric NOT NULL, name text NOT NULL);
INSERT INTO products SELECT n, n % 500, 'card ' || n FROM generate_series(1, 20000) n;
CREATE TABLE orders (id int PRIMARY KEY, product int, email text);
INSERT INTO orders SELECT n, n % 100, 'user' || n || '@example.org' FROM generate_series(1, 2000) n;
ANALYZE;
"""


@dataclass(frozen=True)
class Shop:
    """One database, one way to it, one inventory that names both."""

    cluster: Cluster
    inventory: Path

    @property
    def site(self) -> Inventory:
        os.environ["TUNING_TEST_PASSWORD"] = PASSWORD
        return load_inventory(self.inventory)

    def sql(self, text: str, *, user: str = ROLE) -> str:
        return self.cluster.psql(text, database=NAME, user=user)

    def fails(self, text: str, *, user: str = ROLE) -> str:
        """What psql complains of."""
        done = self.typed(text, user=user)
        assert done.returncode, done.stdout
        return done.stderr

    def typed(self, text: str, *, user: str = ROLE) -> subprocess.CompletedProcess[str]:
        """Statements one after the other, each in a transaction of its own, as a person types them."""
        words = self._psql("-v", "ON_ERROR_STOP=1", user=user)
        return subprocess.run(words, env=self._env(), input=text, capture_output=True, text=True, timeout=30)

    def indexes(self) -> dict[str, bool]:
        """Index of the shop's tables -> whether it is valid."""
        found = self.sql(
            "SELECT indexrelid::regclass || ' ' || indisvalid FROM pg_index JOIN pg_class c ON c.oid = indrelid "
            "WHERE relnamespace = 'public'::regnamespace"
        )
        return {name: valid == "true" for name, valid in (line.rsplit(" ", 1) for line in found.splitlines())}

    def index(self, columns: str = "price", *, events: list[Event] | None = None, **more: Any) -> Result:
        patience = Patience(60.0, more.pop("lock_within", 20.0), more.pop("tries", 3))
        wishes = Wishes(subscribers=() if events is None else (events.append,))
        wanted = Wanted(**{"table": "products", "columns": columns, **more})
        return tuning.run(self.site, tuning.indexing(wanted, patience), wishes=wishes)

    def reindex(self, *, events: list[Event] | None = None, **which: Any) -> Result:
        patience = Patience(60.0, which.pop("lock_within", 20.0), which.pop("tries", 3))
        wishes = Wishes(subscribers=() if events is None else (events.append,))
        return tuning.run(self.site, tuning.reindexing(**which, patience=patience), wishes=wishes)

    @contextmanager
    def session(self, text: str, *, user: str = ROLE, application: str = "") -> Iterator[subprocess.Popen[str]]:
        """A session that has done `text` and stays, as it is, until the block ends."""
        name = application or f"held-{secrets.token_hex(4)}"
        process = subprocess.Popen(
            self._psql(user=user), env={**self._env(), "PGAPPNAME": name}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdin and process.stdout
        process.stdin.write(f"{text}\n\\echo held\n")
        process.stdin.flush()
        for line in process.stdout:
            if line == "held\n":
                break
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

    def typing(self, text: str) -> subprocess.Popen[str]:
        """A statement under way."""
        words = self._psql("-c", text)
        return subprocess.Popen(words, env=self._env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def invoke(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [DOJO, *words, "-i", str(self.inventory)],
            env={**os.environ, "TUNING_TEST_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended(self, *words: str, status: int = 0) -> str:
        """What a command line printed, once it has ended as it should."""
        process = self.invoke(*words)
        out, err = process.communicate(timeout=90)
        assert process.returncode == status, out + err
        assert "Traceback" not in out + err
        assert PASSWORD not in out + err
        return out + err

    def building(self, process: subprocess.Popen[str]) -> None:
        """Returns once the concurrent build of a command line waits."""
        waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
        until(lambda: self.sql(waits) == "1" or process.poll() is not None, 30, "the build to wait")
        assert process.poll() is None, process.communicate()

    def quiet(self) -> None:
        """Returns once no build runs any more."""
        until(lambda: self.sql("SELECT count(*) FROM pg_stat_progress_create_index") == "0", 30, "the build to end")

    def clean(self) -> None:
        """Only what TABLES made."""
        self.sql(
            "SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index JOIN pg_class c ON c.oid = indrelid "
            "WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary \\gexec"
        )

    def _psql(self, *more: str, user: str = ROLE) -> list[str]:
        return [
            str(self.cluster.bin / "psql"), "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.cluster.port),
            "-U", user, "-d", NAME, *more,
        ]  # fmt: skip

    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD}


def inventory(cluster: Cluster, way: Server, folder: Path, **more: Any) -> Path:
    """A file as a person would write it."""
    ssh = way.host.ssh
    site = {
        "app": {
            "name": "shop", "root": str(folder / "srv"), "build": {"run": []},
            "processes": {"kind": "command", "web": {"start": "true", "stop": "true", "port": 3000, "instances": 2}},
        },
        "hosts": {"web": [{"name": "db1", "address": way.host.address, "port": ssh.port}]},
        "ssh": {"user": ssh.user, "key": ssh.key, "known_hosts": ssh.known_hosts},
        "store": {"kind": "directory", "path": str(folder / "store")},
        "balancer": "none",
        "database": {
            "kind": "postgres", "name": NAME, "host": "db1", "address": "127.0.0.1", "port": cluster.port,
            "user": ROLE, "password": {"env": "TUNING_TEST_PASSWORD"}, "bin": str(cluster.bin), **more,
        },
    }  # fmt: skip
    path = folder / "inventories" / "production.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(site))
    return path
