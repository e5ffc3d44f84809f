"""PostgreSQL 18, with a password for everybody; data under the sandbox's own folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import RefusedError

from .. import proc, toolchain
from ..daemons import Command
from ..files import write_secret
from ..fleet import Fleet
from ..layout import Layout
from ..proc import Process
from ..waiting import Watched, until

ROLE = "dojo"
OWNER = "postgres"
ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
INITDB = ("-A", "scram-sha-256", "--no-sync", "--no-instructions", "--locale=C.UTF-8", "-E", "UTF8")
# -F: no fsync. A sandbox's data need to outlive a killed process, not a power cut.
SETTINGS = ("-h", "127.0.0.1", "-k", "", "-F", "-c", "shared_buffers=16MB", "-c", "password_encryption=scram-sha-256")


@dataclass(frozen=True)
class Postgres:
    layout: Layout
    fleet: Fleet
    name: str = "postgres"
    # Fast shutdown; SIGTERM would wait for every client to leave by itself.
    stop_signal: signal.Signals = signal.SIGINT
    grace: float = 5.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.fleet.ports['postgres']}"

    def configure(self) -> bool:
        for role in (ROLE, OWNER):
            if not self._password(role).is_file():
                write_secret(self._password(role), secrets.token_hex(16))
        if not (self._data / "PG_VERSION").is_file():
            self._initdb()
        return False

    def command(self) -> Command:
        # Those of a killed server leave by themselves; until then a new one refuses the data.
        until(lambda: not self._stragglers(), 10, "PostgreSQL's old processes to end")
        # Where nobody reaps zombies the old server's pid still seems alive, and the new one would believe that.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        port = str(self.fleet.ports["postgres"])
        words = (toolchain.postgres() / "postgres", "-D", self._data, "-p", port, *SETTINGS)
        return Command((*_unprivileged(), *map(str, words)), ENV)

    def adopt(self) -> Process | None:
        return None

    def settle(self, watched: Watched) -> None:
        watched.until(lambda: self._psql("SELECT 1").returncode == 0, 20, "PostgreSQL", every=0.05)
        password = self._password(ROLE).read_text()
        sql = [f"""DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}')
                   THEN CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'; END IF; END $$;
                   GRANT pg_monitor TO {ROLE};"""]  # fmt: skip
        for app in self.fleet.apps:
            sql.append(
                f"""SELECT 'CREATE DATABASE "{app.database}" OWNER {ROLE}'
                    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{app.database}') \\gexec"""
            )
        done = self._psql("\n".join(sql))
        if done.returncode:
            raise RefusedError("PostgreSQL did not take its role and databases", hint=done.stderr.strip())

    @property
    def _data(self) -> Path:
        return self.layout.data("postgres")

    def _stragglers(self) -> list[Process]:
        return [process for process in proc.everyone() if proc.folder(process) == self._data]

    def _password(self, role: str) -> Path:
        return self.layout.secrets / f"postgres-{role}"

    def _initdb(self) -> None:
        # A folder without PG_VERSION is what an interrupted initdb left.
        shutil.rmtree(self._data, ignore_errors=True)
        words = (toolchain.postgres() / "initdb", "-D", self._data, "-U", OWNER, f"--pwfile={self._password(OWNER)}")
        done = subprocess.run(
            [*_unprivileged(), *words, *INITDB],
            env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise RefusedError("initdb failed", hint=done.stderr.strip())

    def _psql(self, sql: str) -> subprocess.CompletedProcess[str]:
        """As the owner, the script on standard input: it may hold a password."""
        port = self.fleet.ports["postgres"]
        passwords = self.layout.secrets / "pgpass"
        write_secret(passwords, f"127.0.0.1:{port}:*:{OWNER}:{self._password(OWNER).read_text()}\n")
        return subprocess.run(
            [toolchain.postgres() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
             "-h", "127.0.0.1", "-p", str(port), "-U", OWNER, "-d", "postgres", "-f", "-"],
            env={**ENV, "PGPASSFILE": str(passwords), "PGCONNECT_TIMEOUT": "3"},
            input=sql, capture_output=True, text=True, timeout=20,
        )  # fmt: skip


def _unprivileged() -> tuple[str, ...]:
    """PostgreSQL refuses root; in a user namespace root's files belong to uid 1000, and so does the server."""
    if os.geteuid() != 0:
        return ()
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, timeout=10).returncode == 0:
        return prefix
    raise RefusedError(
        "PostgreSQL does not run as root, and this machine gives no user namespaces",
        hint="run the sandbox as an ordinary user",
    )
