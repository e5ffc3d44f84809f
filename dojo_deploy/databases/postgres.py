"""PostgreSQL, by its own programs on a host: pg_dump, pg_restore, psql."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.database import Backups, Contents, Dump, Server, Swap
from dojo_deploy.databases import archive
from dojo_deploy.databases import postgres_beside as beside
from dojo_deploy.databases import postgres_beside_scripts as beside_scripts
from dojo_deploy.databases import postgres_scripts as scripts
from dojo_deploy.databases import postgres_spool_scripts as spooled
from dojo_deploy.databases.framed import Answered, Framed, first_line, refuse_unanswered
from dojo_deploy.databases.postgres_tuning import PostgresTuning
from dojo_deploy.databases.rows import complaint, contents_of, rows, sets
from dojo_deploy.errors import BackupError, ConfigError, LostError, RefusedError
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
    """Settings. The programs run on `host`, where the server is, or on `via`, from where a managed one is reached.

    `user` restores: it owns the database, or is a superuser, and has CREATEDB. `reader`, if there is one, dumps: it has
    pg_read_all_data, and nothing else.
    """

    name: str
    host: str = ""  # of the inventory
    via: str = ""  # of the inventory, instead of `host`
    address: str = ""  # of the server, as seen from there; empty: the local socket
    port: int = 5432
    user: str = ""  # empty: the deploy user's own name
    password: Secret | None = None  # none: the server trusts the user, or ~/.pgpass on the host knows it
    reader: str = ""
    reader_password: Secret | None = None
    aside: str = "postgres"  # a database to connect to for what cannot be done from inside of `name`
    ownership: str = "keep"  # of what is restored; or `user`, where a managed server knows no others
    sslmode: str = ""
    owner: Role | None = None  # who tunes: the owner of the tables, in pg_monitor; none: `user`
    bin: str = ""  # folder of the programs on the host; empty: PATH
    compress: str = ""  # as pg_dump's --compress: 1, gzip:9, zstd:3; empty: its default
    jobs: int = 1  # processes that dump and restore; more than 1 want a folder on the host meanwhile: `spool`
    spool: str = ""  # where that folder is made, which has to have room for the database; empty: /var/tmp
    data: str = ""  # a folder on `host` in the database's file system; empty: the server is asked, if it may tell
    leaked_after: float = 300.0  # idle in a transaction for longer: its application has forgotten it
    pool: int = 10  # connections that each process of the application may open
    migrations: str = "_prisma_migrations"  # table whose rows are the migrations that were applied
    lock_within: float = 60.0  # for the dump to get its locks, beside a migration
    backups: Backups = Backups()

    def check(self) -> None:
        if bool(self.host) == bool(self.via):
            raise ConfigError("wants `host`, where the server is, or `via`, from where it is reached", key="host")
        if self.via and not self.address:
            raise ConfigError("is missing: where the server is reached from `via`", key="address")
        if self.ownership not in ("keep", "user"):
            raise ConfigError(f"{self.ownership!r} is not possible", key="ownership", hint="keep or user")
        if self.compress and not re.fullmatch(r"[a-z0-9:=,]+", self.compress):
            raise ConfigError("wants what pg_dump's --compress takes", key="compress")
        if self.jobs < 1:
            raise ConfigError(f"{self.jobs} cannot dump anything", key="jobs", hint="1, or more")

    @property
    def tuning(self) -> PostgresTuning:
        who = replace(self, user=self.owner.user, password=self.owner.password) if self.owner else self
        return PostgresTuning(self.name, self.runs_on, self.data, self.leaked_after, who.run)

    @property
    def format(self) -> str:
        return "directory" if self.jobs > 1 else "custom"

    @property
    def beside(self) -> Postgres:
        return self

    @property
    def runs_on(self) -> str:
        """The host whose programs are used."""
        return self.host or self.via

    def look(self, session: Session) -> Server:
        try:
            text = self.ask(session, scripts.LOOK, {"database": self.name}, reads=True)
        except BackupError:
            if self.name in self.others(session):
                raise
            text = self.ask(session, scripts.LOOK, {"database": self.name}, database=self.aside)
        said = dict(rows(text))
        identity, number, version, size, is_superuser = said["server"]
        dumper, restorer = (re.search(r"\d+(\.\d+)*", text) for text in said["tools"])
        major = number // 10000
        if not dumper or not restorer or {int(found[0].split(".")[0]) for found in (dumper, restorer)} != {major}:
            raise RefusedError(
                f"{self.runs_on}: {' and '.join(said['tools'])} are not those of the server's {version}",
                hint=f"set database.bin to the folder of PostgreSQL {major}'s programs",
            )
        properties = said["properties"][0] if "properties" in said else {}
        return Server(identity, version, dumper[0], size, bool(is_superuser), properties)

    def count(self, session: Session) -> Contents:
        return contents_of(rows(self.ask(session, scripts.COUNT, {}, within=self.backups.within, reads=True)))

    def dump(self, session: Session, into: Sink) -> Contents:
        script = (spooled if self.jobs > 1 else scripts).DUMP.replace("@COUNT@", scripts.COUNT)
        heard = self.run(session, script, into=into, answered=True, reads=True)
        found = list(rows(heard.words))
        ended = next((values[0] for name, values in found if name == "dumped"), None)
        if heard.status or ended != 0:
            why = f": pg_dump ended {ended}" if ended else ""
            raise BackupError(f"{self.name} was not dumped{why}", hint=complaint(heard.words))
        return contents_of(found)

    def globals(self, session: Session, server: Server) -> bytes:
        words = () if server.is_superuser else ("--no-role-passwords",)
        taken = bytearray()
        heard = self.run(session, scripts.GLOBALS, *words, into=taken.extend, within=ASK_SECONDS + SLACK, reads=True)
        if heard.status:
            raise BackupError("roles were not dumped", hint=complaint(heard.words))
        return bytes(taken)

    def read_through(self, session: Session, dump: Dump) -> None:
        script = (spooled if dump.is_packed else scripts).READ
        archive.refuse_failed("read", self.run(session, script, str(dump.size), stdin=dump.stream))

    def restore(self, session: Session, dump: Dump, name: str) -> Contents:
        self.ask(session, scripts.CREATE, {"scratch": name}, database=self.aside)
        return beside.fill(self, session, dump, name, "--no-owner", "--no-privileges", "--no-comments")

    def drop_scratch(self, session: Session, name: str) -> None:
        self.ask(session, scripts.DROP, {"scratch": name}, database=self.aside)

    def others(self, session: Session) -> Mapping[str, str]:
        return beside.others(self, session)

    def lacking(self, session: Session, properties: Mapping[str, Any]) -> tuple[str, ...]:
        return beside.lacking(self, session, properties)

    def bring_back(self, session: Session, dump: Dump, name: str, properties: Mapping[str, Any]) -> Contents:
        return beside.bring_back(self, session, dump, name, properties)

    def approve(self, session: Session, name: str) -> None:
        beside.approve(self, session, name)

    def swap(self, session: Session, swap: Swap) -> None:
        beside.swap(self, session, swap)

    def swap_back(self, session: Session, swap: Swap) -> None:
        beside.swap_back(self, session, swap)

    def drop_kept(self, session: Session, name: str) -> None:
        self.ask(session, beside_scripts.DROP_KEPT, {"kept": name}, database=self.aside)

    def preview(self, verb: str, *names: str) -> tuple[str, ...]:
        return beside.preview(self, verb, *names)

    def ask(
        self,
        session: Session,
        sql: str,
        values: Mapping[str, str],
        *,
        database: str = "",
        within: float = ASK_SECONDS,
        reads: bool = False,
    ) -> str:
        """What SQL prints. Raises BackupError with what psql said."""
        taken = bytearray()
        feed = io.BytesIO((sets(values) + sql).encode())
        name = database or self.name
        heard = self.run(session, scripts.ASK, name, stdin=feed, into=taken.extend, within=within, reads=reads)
        refuse_unanswered(heard, name, self.runs_on)
        return taken.decode("utf-8", "backslashreplace")

    def run(
        self,
        session: Session,
        script: str,
        *words: str,
        stdin: BinaryIO | None = None,
        into: Sink = lambda _: None,
        answered: bool = False,
        within: float = 0.0,
        reads: bool = False,
    ) -> Framed:
        """What a script says. `reads`: as the reader, where there is one. Raises LostError.

        What psql does is ended on the host after `within` seconds: nothing takes effect long after it was asked.
        """
        within = within or self.backups.within + SLACK
        mark = secrets.token_hex(16)
        heard = Framed(mark, into)
        user, password = (self.reader, self.reader_password) if reads and self.reader else (self.user, self.password)
        first = first_line(password)
        feed = Answered(first, heard.over) if answered else Chained(io.BytesIO(first), *([stdin] if stdin else []))
        env = self._environment(user, within)
        text = Command.of("sh", "-c", script, "dojo-database", mark, *words, env=env).render()
        try:
            shell = session.shell(self.runs_on)
            shell.stream(text, within=within + SLACK, stdin=feed, on_output=heard.feed)
        finally:
            heard.over.set()
        if heard.status is None:
            raise LostError("the database's programs did not say how they ended", host=self.runs_on)
        if heard.status == scripts.NO_ROOM:
            raise BackupError(f"{self.runs_on}: {heard.words}", hint="set database.spool to a folder on a larger disk")
        return heard

    def _environment(self, user: str, within: float) -> dict[str, str]:
        known = {"PGHOST": self.address, "PGUSER": user, "PGSSLMODE": self.sslmode}
        return {
            **{name: value for name, value in known.items() if value},
            "PGPORT": str(self.port),
            "PGDATABASE": self.name,
            "PGAPPNAME": "dojo_deploy",
            "PGCONNECT_TIMEOUT": "10",
            "DOJO_BIN": self.bin,
            "DOJO_MIGRATIONS": self.migrations,
            "DOJO_COMPRESS": f"--compress={self.compress}" if self.compress else "",
            "DOJO_JOBS": str(self.jobs),
            "DOJO_SPOOL": self.spool,
            "DOJO_SECONDS": f"{self.backups.within:.0f}",
            "DOJO_ASK_SECONDS": f"{within:.0f}",
            "DOJO_LOCK_MS": f"{self.lock_within * 1000:.0f}",
        }
