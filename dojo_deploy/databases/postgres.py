"""PostgreSQL, by its own programs on a host: pg_dump's custom format, pg_restore, psql."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.database import Backups, Contents, Server
from dojo_deploy.databases import postgres_scripts as scripts
from dojo_deploy.databases.framed import Answered, Framed
from dojo_deploy.databases.postgres_tuning import PostgresTuning
from dojo_deploy.databases.rows import complaint, rows, sets
from dojo_deploy.errors import BackupError, ConfigError, DamagedError, LostError, RefusedError
from dojo_deploy.interfaces import Session
from dojo_deploy.secrets import Secret
from dojo_deploy.streams import Chained, Sink

ASK_SECONDS = 60.0
SLACK = 30.0  # for the end of what was ended on the host at its own deadline


@dataclass(frozen=True)
class Role:
    """Keys of `database.owner`."""

    user: str
    password: Secret | None = None


@dataclass(frozen=True)
class Postgres:
    """Settings. A managed server without SSH is reached from any `host` that may connect to its `address`."""

    name: str
    host: str  # of the inventory: where the programs run
    address: str = ""  # as seen from `host`; empty: the local socket
    port: int = 5432
    user: str = ""  # empty: the deploy user's own name
    password: Secret | None = None  # none: the server trusts the user, or ~/.pgpass on the host knows it
    sslmode: str = ""
    owner: Role | None = None  # who tunes: the owner of the tables, in pg_monitor; none: `user`
    bin: str = ""  # folder of the programs on the host; empty: PATH
    compress: str = ""  # as pg_dump's --compress: 1, gzip:9, zstd:3; empty: its default
    data: str = ""  # a folder on `host` in the database's file system; empty: the server is asked, if it may tell
    leaked_after: float = 300.0  # idle in a transaction for longer: its application has forgotten it
    pool: int = 10  # connections that each process of the application may open
    migrations: str = "_prisma_migrations"  # table whose rows are the migrations that were applied
    lock_within: float = 60.0  # for the dump to get its locks, beside a migration
    backups: Backups = Backups()

    def check(self) -> None:
        if self.compress and not re.fullmatch(r"[a-z0-9:=,]+", self.compress):
            raise ConfigError("wants what pg_dump's --compress takes", key="compress")

    @property
    def tuning(self) -> PostgresTuning:
        who = replace(self, user=self.owner.user, password=self.owner.password) if self.owner else self
        return PostgresTuning(self.name, self.host, self.data, self.leaked_after, who._run)

    def look(self, session: Session) -> Server:
        said = dict(rows(self._ask(session, scripts.LOOK, {"database": self.name})))
        identity, number, version, size, is_superuser = said["server"]
        dumper, restorer = (re.search(r"\d+(\.\d+)*", text) for text in said["tools"])
        major = number // 10000
        if not dumper or not restorer or {int(found[0].split(".")[0]) for found in (dumper, restorer)} != {major}:
            raise RefusedError(
                f"{self.host}: {' and '.join(said['tools'])} are not those of the server's {version}",
                hint=f"set database.bin to the folder of PostgreSQL {major}'s programs",
            )
        return Server(identity, version, dumper[0], size, bool(is_superuser))

    def dump(self, session: Session, into: Sink) -> Contents:
        heard = self._run(session, scripts.DUMP.replace("@COUNT@", scripts.COUNT), into=into, answered=True)
        found = list(rows(heard.words))
        ended = next((values[0] for name, values in found if name == "dumped"), None)
        if heard.status or ended != 0:
            why = f": pg_dump ended {ended}" if ended else ""
            raise BackupError(f"{self.name} was not dumped{why}", hint=complaint(heard.words))
        return _contents(found)

    def globals(self, session: Session, server: Server) -> bytes:
        words = () if server.is_superuser else ("--no-role-passwords",)
        taken = bytearray()
        heard = self._run(session, scripts.GLOBALS, *words, into=taken.extend, within=ASK_SECONDS + SLACK)
        if heard.status:
            raise BackupError("roles were not dumped", hint=complaint(heard.words))
        return bytes(taken)

    def read_through(self, session: Session, dump: BinaryIO) -> None:
        heard = self._run(session, scripts.READ, stdin=dump)
        if heard.status:
            raise DamagedError(f"pg_restore could not read the dump (ended {heard.status})", hint=heard.words[-500:])

    def restore(self, session: Session, dump: BinaryIO, name: str) -> Contents:
        self._ask(session, scripts.CREATE, {"scratch": name})
        heard = self._run(session, scripts.RESTORE, name, stdin=dump)
        if heard.status:
            raise DamagedError(f"pg_restore could not restore the dump (ended {heard.status})", hint=heard.words[-500:])
        return _contents(rows(self._ask(session, scripts.COUNT, {}, database=name, within=self.backups.within)))

    def drop_scratch(self, session: Session, name: str) -> None:
        self._ask(session, scripts.DROP, {"scratch": name})

    def _ask(
        self,
        session: Session,
        sql: str,
        values: Mapping[str, str],
        *,
        database: str = "",
        within: float = ASK_SECONDS,
    ) -> str:
        taken = bytearray()
        feed = io.BytesIO((sets(values) + sql).encode())
        heard = self._run(session, scripts.ASK, database or self.name, stdin=feed, into=taken.extend, within=within)
        if heard.status:
            raise BackupError(f"{self.name} on {self.host} did not answer", hint=complaint(heard.words))
        return taken.decode("utf-8", "backslashreplace")

    def _run(
        self,
        session: Session,
        script: str,
        *words: str,
        stdin: BinaryIO | None = None,
        into: Sink = lambda _: None,
        answered: bool = False,
        within: float = 0.0,
    ) -> Framed:
        mark = secrets.token_hex(16)
        heard = Framed(mark, into)
        first = f"{self._password()}\n".encode()
        feed = Answered(first, heard.over) if answered else Chained(io.BytesIO(first), *([stdin] if stdin else []))
        text = Command.of("sh", "-c", script, "dojo-database", mark, *words, env=self._environment()).render()
        try:
            shell = session.shell(self.host)
            shell.stream(text, within=within or self.backups.within + SLACK, stdin=feed, on_output=heard.feed)
        finally:
            heard.over.set()
        if heard.status is None:
            raise LostError("the database's programs did not say how they ended", host=self.host)
        return heard

    def _password(self) -> str:
        value = self.password.reveal() if self.password else ""
        if "\n" in value:
            raise ConfigError("the database's password has more than one line", key="database.password")
        return value

    def _environment(self) -> dict[str, str]:
        known = {"PGHOST": self.address, "PGUSER": self.user, "PGSSLMODE": self.sslmode}
        return {
            **{name: value for name, value in known.items() if value},
            "PGPORT": str(self.port),
            "PGDATABASE": self.name,
            "PGAPPNAME": "dojo_deploy",
            "PGCONNECT_TIMEOUT": "10",
            "DOJO_BIN": self.bin,
            "DOJO_MIGRATIONS": self.migrations,
            "DOJO_COMPRESS": f"--compress={self.compress}" if self.compress else "",
            "DOJO_SECONDS": f"{self.backups.within:.0f}",
            "DOJO_LOCK_MS": f"{self.lock_within * 1000:.0f}",
        }


def _contents(rows: Iterator[tuple[str, list[Any]]] | list[tuple[str, list[Any]]]) -> Contents:
    found = list(rows)
    single = {name: values[0] for name, values in found if len(values) == 1}
    return Contents(
        {values[0]: values[1] for name, values in found if name == "rows"},
        constraints=single.get("constraints", 0),
        indexes=single.get("indexes", 0),
        migrations=tuple(values[0] for name, values in found if name == "migration"),
    )
