"""Opens one inventory: connections, store, guards. The composition root of everything that does I/O."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from dojo_deploy.clock import SystemClock
from dojo_deploy.confidential import confidential
from dojo_deploy.errors import DojoError, TransportError
from dojo_deploy.interfaces import Clock, Shell, Store
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER
from dojo_deploy.secrets import Redactor
from dojo_deploy.transports.local import LocalShell

if TYPE_CHECKING:
    from dojo_deploy.transports.ssh import Gateways


class OpenSession:
    """One inventory, opened: `Session` for actions and adapters. Close it to close every connection."""

    def __init__(self, inventory: Inventory, *, clock: Clock | None = None) -> None:
        self.inventory = inventory
        self.clock: Clock = clock or SystemClock()
        self.cancelled = threading.Event()
        self.lease = ("", 0)
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {CONTROLLER: LocalShell()}
        self._left: list[Shell] = []
        self._guards: dict[str, threading.Lock] = {}
        self._warmed: set[str] = set()
        self._store: Store | None = None
        self._gateways: Gateways | None = None
        self._redact: Redactor | None = None
        self._closed = False

    @property
    def store(self) -> Store:
        with self._guard("store of the session"):
            if self._store is None:
                self._store = self.inventory.store.open(self)
            return self._store

    @property
    def redact(self) -> Redactor:
        """Knows every secret of every inventory that this session turned to.

        Raises ConfigError for one that cannot be read.
        """
        with self._guard("secrets of the session"):
            if self._redact is None:
                self._redact = Redactor(confidential(self.inventory))
            return self._redact

    def shell(self, host: str) -> Shell:
        with self._lock:
            if self._closed:
                raise TransportError("the session is closed", host=host)
            if host not in self._shells:
                self._shells[host] = self._connect(host)
            return self._shells[host]

    def warm(self, hosts: Iterable[str]) -> None:
        """Begins to connect, while other things are done; what goes wrong is said by who needs the host."""
        # Loaded here: in the threads, what the caller loads meanwhile would make them wait for the interpreter.
        import dojo_deploy.transports.ssh  # noqa: F401

        with self._lock:
            names = [host for host in hosts if host not in self._warmed]
            self._warmed.update(names)
        lanes = max((self.inventory.hosts[name].ssh.lanes for name in names), default=1)
        executor = ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="connect")
        for name in names:
            executor.submit(self._warm, name)
        executor.shutdown(wait=False)

    def turn_to(self, inventory: Inventory) -> None:
        """Goes on with another inventory of the same site: hosts that it describes otherwise are connected to anew."""
        self.redact.learn(confidential(inventory))
        with self._lock:
            for name in [*self._shells]:
                if name != CONTROLLER and self.inventory.hosts.get(name) != inventory.hosts.get(name):
                    # Not closed yet: the store may speak over it.
                    self._left.append(self._shells.pop(name))
                    self._warmed.discard(name)
            self.inventory = inventory

    def guard(self, name: str) -> threading.Lock:
        return self._guard(f"guard {name}")

    def say(self, line: str) -> None:
        """Outside of any step nobody listens."""

    def close(self) -> None:
        """Closes what was opened; a failure to close one thing does not keep the others open."""
        if self._store is not None:
            with contextlib.suppress(DojoError):
                self._store.close()
        with self._lock:
            # Threads of `warm` may still be about to connect.
            self._closed = True
            shells = (*self._shells.values(), *self._left)
        for shell in shells:
            with contextlib.suppress(DojoError):
                shell.close()
        if self._gateways is not None:
            self._gateways.close()

    def _warm(self, host: str) -> None:
        with contextlib.suppress(DojoError):
            self.shell(host).open()

    def _guard(self, name: str) -> threading.Lock:
        with self._lock:
            return self._guards.setdefault(name, threading.Lock())

    def _connect(self, name: str) -> Shell:
        from dojo_deploy.transports.ssh import Gateways, connect

        host = self.inventory.hosts[name]
        if self._gateways is None:
            self._gateways = Gateways(self.clock)
        return connect(host, self._gateways, self.clock)


class BoundSession:
    """A session whose `say` belongs to one step."""

    def __init__(self, session: OpenSession, say: Callable[[str], None]) -> None:
        self._session = session
        self.say = say
        self.inventory = session.inventory
        self.clock = session.clock
        self.cancelled = session.cancelled

    @property
    def lease(self) -> tuple[str, int]:
        return self._session.lease

    @property
    def store(self) -> Store:
        return self._session.store

    def shell(self, host: str) -> Shell:
        return self._session.shell(host)

    def guard(self, name: str) -> threading.Lock:
        return self._session.guard(name)


@contextlib.contextmanager
def opened(inventory: Inventory, *, clock: Clock | None = None) -> Iterator[OpenSession]:
    """The session for a `with` block."""
    session = OpenSession(inventory, clock=clock)
    try:
        yield session
    finally:
        session.close()


def work_folder(inventory: Inventory) -> Path:
    """Where this controller keeps journals and built artifacts: `.dojo` beside the inventory's folder, else here."""
    base = Path(inventory.path).resolve().parent if inventory.path else Path.cwd()
    return (base.parent if base.name == "inventories" else base) / ".dojo"
