"""A shop whose database is restored: one host without SSH, a real PostgreSQL, a page that is a file."""

# ruff: noqa: ARG002 - the protocols name the arguments
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from dojo_deploy.app import backups, restores
from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.errors import DojoError
from dojo_deploy.interfaces import Answer, Backend, Page, Reading, Session
from dojo_deploy.plan import Target
from dojo_deploy.runs.conduct import Result, Wishes
from dojo_deploy.session import OpenSession
from dojo_deploy.transports.local import LocalShell
from tests.backups.bed import PASSWORD, ROLE, TABLES, Cluster
from tests.engine.rig import Fleet

UP = 'echo "$RELEASE" > "$SHARED_DIR/../up"'
WEB = {"port": 3000, "start": UP, "stop": 'rm -f "$SHARED_DIR/../up"'}
CARDS = 120
MIGRATE = 'echo x >> "$SHARED_DIR/../migrated"; [ ! -e "$SHARED_DIR/../fault-migrate" ]'
GATE = {"gate.probes": '["up"]', "gate.every": "0.01s", "gate.grace": "0s", "gate.within": "5s", "gate.in_a_row": "1"}


@dataclass(frozen=True)
class Sign(NoBalancer):
    """Closed while `folder/closed` is there; `folder/log` has every change."""

    folder: str
    can_drain = True

    def close(self, session: Session, page: Page) -> None:
        self._log("close")
        (Path(self.folder) / "closed").touch()

    def open(self, session: Session) -> None:
        self._log("open")
        (Path(self.folder) / "closed").unlink(missing_ok=True)

    def closed(self, session: Session) -> bool:
        return (Path(self.folder) / "closed").exists()

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        return frozenset(backends)

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        return Answer(503 if self.closed(session) else 200)

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        return (verb,)

    def _log(self, text: str) -> None:
        with (Path(self.folder) / "log").open("a") as log:
            log.write(f"{text}\n")


@dataclass(frozen=True)
class Up:
    """The process runs, and its database answers; with a file `wants` beside it, with so many cards."""

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        root, database = Path(session.inventory.hosts[target.host].root), session.inventory.database
        if not (root / "up").exists():
            return Reading(False, "down")
        assert isinstance(database, Postgres)
        try:
            found = database.ask(session, "SELECT count(*) FROM cards;", {}).strip()
        except DojoError as exc:
            return Reading(False, str(exc))
        wants = (root / "wants").read_text() if (root / "wants").exists() else found
        return Reading(found == wants, f"{found} cards")


class Shop(Fleet):
    """`base/database.json` says which database. It has TABLES, and is the application's only one."""

    def __init__(self, base: Path, hosts: int = 1) -> None:
        self.at: dict[str, Any] = json.loads((base / "database.json").read_text())
        super().__init__(base, hosts)

    @classmethod
    def opened_for(cls, base: Path, cluster: Cluster, name: str, *, cards: int = CARDS) -> Shop:
        cluster.settings()  # its password, for whoever looks
        base.mkdir(parents=True, exist_ok=True)
        (base / "database.json").write_text(json.dumps({"port": cluster.port, "bin": str(cluster.bin), "name": name}))
        cluster.psql(f"CREATE DATABASE {name} OWNER {ROLE}")
        cluster.psql(f"COMMENT ON DATABASE {name} IS 'the shop''s own: all of it'")
        cluster.psql(f'ALTER DATABASE {name} SET search_path TO "$user", public')
        cluster.psql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        cluster.psql(TABLES.format(cards=cards), database=name, user=ROLE)
        shop = cls(base)
        (base / "web1" / "up").touch()
        (base / "web1" / "shared").mkdir()
        (base / "web1" / "releases" / "v1" / ".dojo" / "env.sh").touch()
        return shop

    def prepare(self) -> None:
        self.document["app"] |= {"processes": {"kind": "command", "web": WEB}}
        self.document["hosts"]["web"][0] |= {"address": "web1"}
        self.document["balancer"] = {"kind": "tests.backups.shop:Sign", "folder": str(self.doors)}
        self.document["probes"] = {"up": {"kind": "tests.backups.shop:Up"}, "health": {"kind": "tests.backups.shop:Up"}}
        self.document["strategies"] = {"rolling": {"migrate": {"run": MIGRATE, "deadline": "10s"}}}
        self.document["database"] = {
            "kind": "postgres", "name": self.at["name"], "host": "web1", "address": "127.0.0.1",
            "port": self.at["port"], "user": ROLE, "password": {"env": "BACKUP_TEST_PASSWORD"}, "bin": self.at["bin"],
        }  # fmt: skip

    @contextmanager
    def near(self) -> Iterator[None]:
        """Its host is this machine."""
        connect = lambda session, name: LocalShell(session.inventory.hosts[name])  # noqa: E731
        with mock.patch.object(OpenSession, "_connect", connect):
            yield

    def begin(self, strategy: Any = None, **options: Any) -> Result:
        undo, backup, values = options.get("undo", False), options.get("backup", ""), options.get("overrides", {})
        wishes = Wishes(subscribers=(self.events.append,))
        with self.near():
            return restores.restore(
                self.site(),
                restores.Wanted(backup=backup, undo=undo, cluster=options.get("cluster", "")),
                confirm=options.get("confirm", self.at["name"]),
                overrides={**GATE, **values},
                wishes=wishes,
            )

    def go_on(self, *, abort: bool = False, **wishes: Any) -> Result:
        with self.near():
            return super().go_on(abort=abort, **wishes)

    def back_up(self) -> str:
        with self.near():
            return backups.back_up(self.site()).id

    def drill(self) -> Any:
        with self.near():
            return backups.drill(self.site())

    def halves(self) -> list[str]:
        """Objects of backups without a manifest, and streams that nobody ended; of those whose maker has ended."""
        with self.near():
            backups.prune(self.site(), confirmed=True)
            found = list(backups.listed(self.site()).leftovers)
        return found + [path.name for path in (self.base / "store").rglob(".unfinished/*")]

    @property
    def name(self) -> str:
        return str(self.at["name"])

    @property
    def serves(self) -> bool:
        """Users reach a process that runs."""
        return (self.base / "web1" / "up").exists() and not (self.doors / "closed").exists()


def connection(cluster: Cluster) -> dict[str, str]:
    return {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port), "PGUSER": ROLE, "PGPASSWORD": PASSWORD}
