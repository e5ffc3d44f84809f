"""A fleet without SSH: hosts are folders, their shells are local, all else is the real thing: host jobs, store, lock.

Faults are files, so that a plan stays the same while somebody mends a host: `fault-STEP` in a host's root fails that
step after its work, `fault-back` its way back; `sick` there fails the gate of the new release.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dojo_deploy.clock import SystemClock
from dojo_deploy.config import inventory_from_document
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.hoststate import Fence, fence
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.events import Event
from dojo_deploy.interfaces import Clock, Shell, Store
from dojo_deploy.inventory import Inventory
from dojo_deploy.release import Known, Layout, Release
from dojo_deploy.runs.conduct import Result, conduct, go_on
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import OpenSession
from dojo_deploy.transports.local import LocalShell
from tests.engine.tiny import NEW, OLD, Tiny


class Fleet:
    """`hosts` web hosts that run OLD, their balancer and their store."""

    def __init__(self, base: Path, hosts: int = 2) -> None:
        self.base, self.names = base, tuple(f"web{number}" for number in range(1, hosts + 1))
        self.events: list[Event] = []
        self.shells: dict[str, Shell] = {}
        self.doors = base / "doors"
        self.document: dict[str, Any] = {
            "app": {"name": "shop", "environment": "test", "root": "/srv/shop"},
            "hosts": {"web": [{"name": name, "root": str(base / name)} for name in self.names]},
            "balancer": {"kind": "tests.engine.tiny:Doors", "folder": str(self.doors)},
            "probes": {"well": {"kind": "tests.engine.tiny:Well"}},
            "store": {"kind": "directory", "path": str(base / "store")},
        }
        self.prepare()
        if not self.doors.exists():
            self._make()

    def prepare(self) -> None:
        """Where another kind of fleet says what its inventory has."""

    def begin(self, strategy: Any = None, **options: Any) -> Result:
        """A run as a controller that will be killed makes it: by a strategy's class, or the usual one."""
        return self.deploy((strategy or Tiny)(**options))

    def _make(self) -> None:
        self.doors.mkdir(parents=True)
        for name in self.names:
            for release in ("v0", OLD.id, NEW.id):
                meta = self.base / name / "releases" / release / ".dojo"
                meta.mkdir(parents=True)
                (meta / "complete").write_text("ab\n")
            self.link(name, OLD.id)
        with self.opened() as session:
            for number, release in enumerate((Release("v0"), OLD)):
                ledger.passed(session.store, release, run="earlier", at=f"2026-01-0{number + 1}T00:00:00Z")

    def link(self, host: str, release: str) -> None:
        current = Path(Layout(str(self.base / host)).current())
        current.parent.mkdir(parents=True, exist_ok=True)
        current.unlink(missing_ok=True)
        current.symlink_to(self.base / host / "releases" / release)

    def site(self, where: str = "here") -> Inventory:
        """The inventory as a file in the folder `where` would give it; journals lie beside it."""
        return inventory_from_document(self.document, path=self.base / where / "test.yml")

    @contextlib.contextmanager
    def opened(self, where: str = "here", clock: Clock | None = None) -> Iterator[OpenSession]:
        session = OpenSession(self.site(where), clock=clock)
        session._shells.update({name: self.shell(name) for name in self.names})
        try:
            yield session
        finally:
            session.close()

    def shell(self, host: str) -> Shell:
        return self.shells.get(host) or LocalShell(self.site().hosts[host])

    def deploy(
        self, strategy: Any = None, release: Release = NEW, *, clock: Clock | None = None, **wishes: Any
    ) -> Result:
        artifact = wishes.pop("artifact", None)
        wish = Wishes(subscribers=(self.events.append, *wishes.pop("subscribers", ())), **wishes)
        with self.opened(clock=clock) as session:
            trail = EventTrail(session.clock, wish.subscribers)
            chosen = strategy or Tiny(limit=wish.limit)
            return conduct(session, chosen, lambda _: release, wish, trail, artifact=artifact, platform=False)

    def go_on(self, *, abort: bool = False, **wishes: Any) -> Result:
        """As another machine would: with a journal of its own, which is empty."""
        wish = Wishes(subscribers=(self.events.append, *wishes.pop("subscribers", ())), **wishes)
        with self.opened("there") as session:
            return go_on(session, wish, abort=abort)

    def fault(self, host: str, step: str) -> Path:
        """Lays a fault; remove the file to mend it."""
        at = self.base / host
        path = {"drain": self.doors / f"fault-drain-{host}", "restore": self.doors / f"fault-restore-{host}"}
        file = path.get(step, at / ("sick" if step == "gate" else f"fault-{step}"))
        file.touch()
        return file

    def on(self) -> dict[str, str]:
        """Host -> the release that its link names, with ` drained` when no requests reach it."""
        links = {name: (self.base / name / "slots/blue/current").readlink().name for name in self.names}
        return {name: release + (" drained" if (self.doors / name).exists() else "") for name, release in links.items()}

    def counts(self) -> dict[str, int]:
        files = {"hook": self.doors / "hook", "migrated": self.base / "web1" / "migrated"}
        files |= {f"count {name}": self.base / name / "count" for name in self.names}
        return {name: file.read_text().count("x") if file.exists() else 0 for name, file in files.items()}

    def fences(self) -> dict[str, Fence | None]:
        return {name: fence(LocalShell(), Layout(str(self.base / name))) for name in self.names}

    def are_open(self) -> tuple[str, ...]:
        return tuple(name for name, one in self.fences().items() if one and one.is_open)

    def log(self) -> list[str]:
        file = self.doors / "log"
        return file.read_text().splitlines() if file.exists() else []

    def store(self) -> Store:
        return self.site().store.open(SimpleNamespace(inventory=self.site(), clock=SystemClock()))  # type: ignore[arg-type]

    def known(self, release: str = NEW.id) -> Known:
        return ledger.read_record(self.store()).find(release) or Known(release)

    def open_run(self) -> str:
        entry = lock.read(self.store())
        return entry.open if entry else ""

    def is_clean(self) -> bool:
        """The last run is over everywhere: in the store, and on every host."""
        return not self.open_run() and not self.are_open()


class Hasty(SystemClock):
    """Real time, but sleeps that nothing can wake are over at once and have taken their time."""

    def __init__(self) -> None:
        self.skew = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.skew

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        if wake is None:
            self.skew += seconds
        else:
            super().sleep(seconds, wake)
