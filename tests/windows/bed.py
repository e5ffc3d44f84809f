"""The small fleet behind a balancer that can be closed, with a status page: a window from end to end in a second."""

# ruff: noqa: ARG002 - the protocols name the arguments
from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojo_deploy.clock import utc
from dojo_deploy.database import Backups, Contents, Dump, Server
from dojo_deploy.errors import BackupError, BalancerError
from dojo_deploy.interfaces import Answer, Page, Session
from dojo_deploy.release import Release
from dojo_deploy.runs.conduct import Result
from dojo_deploy.strategies import Check, Maintenance, Reopen, Work
from dojo_deploy.streams import Sink
from dojo_deploy.windows import diary
from dojo_deploy.windows.window import CLOSED, Window
from tests.engine.duo import GATE, Duo, Signpost

NOW = "m-20261201-abc123"
DAY = 86400.0


@dataclass(frozen=True)
class Shutter(Signpost):
    """`folder/page` is the page while it is up; `fault-close` and `fault-open` there fail a change after its work."""

    def close(self, session: Session, page: Page) -> None:
        (Path(self.folder) / "page").write_text(f"{page.retry_after} {' '.join(page.exempt)}")
        self._done("close")

    def open(self, session: Session) -> None:
        (Path(self.folder) / "page").unlink(missing_ok=True)
        self._done("open")
        after = Path(self.folder) / "after-open"
        if after.exists():  # some time into the watch
            threading.Timer(0.3, lambda: os.system(after.read_text())).start()

    def closed(self, session: Session) -> bool:
        return (Path(self.folder) / "page").exists()

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        if self.closed(session) and path not in (Path(self.folder) / "page").read_text().split():
            return Answer(503)
        return super().answer(session, path, within=within)

    def settle(self, session: Session, within: float) -> None:
        self._done("settle")

    def _done(self, verb: str) -> None:
        self._log(verb)
        if (Path(self.folder) / f"fault-{verb}").exists():
            raise BalancerError(f"no {verb}")


@dataclass(frozen=True)
class Little:
    """A database of one file, `folder/rows`; `fault-dump` in the folder fails its dump."""

    folder: str
    name: str = "shop"
    host: str = ""
    format: str = "custom"
    backups: Backups = Backups()

    def look(self, session: Session) -> Server:
        return Server("cluster-1", "16.1", "16.1", 10, is_superuser=True)

    def dump(self, session: Session, sink: Sink) -> Contents:
        page = Path(self.folder) / "page"
        with (Path(self.folder) / "log").open("a") as log:
            log.write(f"dump, page {'up' if page.exists() else 'down'}\n")
        if (Path(self.folder) / "fault-dump").exists():
            raise BackupError("pg_dump was killed")
        sink((Path(self.folder) / "rows").read_bytes())
        return Contents({"public.cards": 1})

    def globals(self, session: Session, server: Server) -> bytes:
        return b"CREATE ROLE shop;\n"

    def read_through(self, session: Session, dump: Dump) -> None:
        while dump.stream.read(1 << 20):
            pass

    def restore(self, session: Session, dump: Dump, name: str) -> Contents:
        raise NotImplementedError

    def drop_scratch(self, session: Session, name: str) -> None:
        raise NotImplementedError


class Bed(Duo):
    """OLD serves in blue on two hosts. `page` is where the status page is, if there is one."""

    def prepare(self) -> None:
        super().prepare()
        self.document["balancer"] = {"kind": "tests.windows.bed:Shutter", "folder": str(self.doors)}
        self.document["database"] = {"kind": "tests.windows.bed:Little", "folder": str(self.doors)}
        url = self.base / "page-url"
        if url.exists():
            token = {"file": str(self.base / "token")}
            page = {"kind": "status_page", "url": url.read_text(), "token": token, "within": 1.0}
            self.document["notifiers"] = {"status": page}

    def _make(self) -> None:
        super()._make()
        (self.doors / "rows").write_text("one card\n")

    def begin(self, strategy: Any = None, **options: Any) -> Result:
        """A maintenance, or, by `how`, the end of one: as a controller that will be killed makes it."""
        how = options.pop("how", "start")
        with self.opened() as session:
            window = diary.current(session.store)
            assert window
            closed = window.state == CLOSED
        if how == "start":
            return self.carry(self.maintenance(window=window.id, closed=closed, **options))
        values = {"gate": GATE, "watch": 0.02, **options}
        return self.carry(Reopen(outcome=how, window=window.id, closed=closed, **values))

    def carry(self, strategy: Any, **wishes: Any) -> Result:
        wish = {"release": Release("v1"), **wishes}
        return self.deploy(strategy, **wish)

    def maintenance(self, **options: Any) -> Maintenance:
        values: dict[str, Any] = {
            "gate": GATE,
            "watch": 0.02,
            "work": (self.line("first"), self.line("second")),
            "verify": (Check(f'echo "verify $PGOPTIONS" >> {self.doors}/log', name="look"),),
        }
        return Maintenance(**{**values, **options})

    def line(self, name: str, **options: Any) -> Work:
        """A line of work that leaves its name, unless `fault-NAME` is there, and is undone by taking it away."""
        log = self.doors / "log"
        run = f"echo {name} >> {log}; [ ! -e {self.doors}/fault-{name} ]"
        return Work(run, name=name, undo=f"echo un{name} >> {log}", **options)

    def scheduled(self, *, ahead: float = -1.0, lasts: float = 3600.0, told: bool = True) -> Window:
        """A window that begins `ahead` seconds from now, of which users have known for two days."""
        now = time.time()
        made = Window(NOW, utc(now + ahead), utc(now + ahead + lasts), "Upgrade", "We upgrade.")
        return diary.add(self.store(), made.noted(now - (2 * DAY if told else 0), "scheduled"))

    def state(self) -> str:
        with self.opened() as session:
            (window,) = diary.read(session.store)[-1:]
        return f"{window.state} {window.outcome}".strip()

    def is_closed(self) -> bool:
        return (self.doors / "page").exists()

    def works(self) -> list[bool]:
        """Per host: whether its worker runs."""
        return [(self.base / name / "worker-blue").exists() for name in self.names]

    def stands_open(self) -> bool:
        """OLD serves everybody, its workers work, and no run is open."""
        return (self.is_closed(), self.works(), self.served(), self.open_run(), self.are_open()) == (
            False,
            [True] * len(self.names),
            {"v1"},
            "",
            (),
        )

    def stands_closed(self) -> bool:
        """The page is up, nothing works behind it, and no run is open."""
        return (self.is_closed(), self.works(), self.open_run(), self.are_open()) == (
            True,
            [False] * len(self.names),
            "",
            (),
        )
