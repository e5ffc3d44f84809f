"""Every seam of the program on one screen: what each family must do, and must do when things are missing.

Adapters are frozen dataclasses whose fields are the keys of their section in the inventory. They keep no connection:
what they need of the run comes in as a `Session`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from dojo_deploy.clock import Clock as Clock
from dojo_deploy.database import Database as Database
from dojo_deploy.inventory import Backend as Backend
from dojo_deploy.inventory import Page as Page
from dojo_deploy.notices import Notifier as Notifier
from dojo_deploy.readings import Answer as Answer
from dojo_deploy.readings import Completed as Completed
from dojo_deploy.readings import Finding as Finding
from dojo_deploy.readings import Preparation as Preparation
from dojo_deploy.readings import Reading as Reading
from dojo_deploy.readings import Stored as Stored
from dojo_deploy.streams import Sink as Sink
from dojo_deploy.streams import Streams
from dojo_deploy.streams import Tunnel as Tunnel

if TYPE_CHECKING:
    from dojo_deploy.command import Command
    from dojo_deploy.events import Event
    from dojo_deploy.inventory import Host, Inventory, Processes
    from dojo_deploy.plan import Plan, Target
    from dojo_deploy.release import Observed, Placement, Release


class Shell(Protocol):
    """One host's kept connection. All calls may come from any thread.

    Raises UnreachableError (nothing was started), HostKeyError, or LostError (it may have run): a missing exit status
    is LostError, never a status.
    """

    @property
    def host(self) -> Host: ...

    def open(self) -> None:
        """Connects now; the first call would do it too."""

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        """Runs one command to its end. `within` bounds the whole call in seconds (LostError after it)."""

    def stream(self, text: str, *, within: float, stdin: BinaryIO | None = None, on_output: Sink) -> int:
        """Runs ready shell text, feeding `stdin` and passing stdout on as it comes; returns the exit status.

        A remote end that stops reading `stdin` is no error; stderr is merged by the text itself.
        """

    def dial(self, address: str, port: int, *, within: float) -> Tunnel:
        """A TCP connection from the host. Raises OSError when refused or timed out."""

    def close(self) -> None: ...


class Store(Streams, Protocol):
    """Compare-and-swap by key. Keys are `/`-separated ASCII; callers pass them without the inventory's scope."""

    def get(self, key: str) -> Stored | None:
        """The object, or None when there is none. Raises StoreError when that cannot be known."""

    def put(self, key: str, data: bytes, *, etag: str | None = None, absent: bool = False, keep: float = 0.0) -> str:
        """Writes whole or not at all; returns the new etag.

        With `etag`, only over that very version; with `absent`, only where nothing is. Else ConflictError. A
        write whose answer was lost is read back before anything is raised. `keep` as for `incoming`.
        """

    def delete(self, key: str) -> None:
        """Gone afterwards; a missing key is no error."""

    def list(self, prefix: str) -> tuple[str, ...]:
        """Keys that start with `prefix`, sorted."""

    def upload(self, key: str, path: Path) -> None:
        """A file, with bounded memory; visible only when whole."""

    def download(self, key: str, path: Path) -> bool:
        """Into a file; False when there is no such key."""

    def close(self) -> None: ...


class StoreKind(Protocol):
    """A store's settings. One on a host of the fleet also tells its `place(session)`: host and folder."""

    def open(self, session: Session) -> Store: ...

    def preview(self) -> str:
        """Where it is, for people."""


class Balancer(Protocol):
    """Sends traffic. Every change is verified through the balancer before the call returns, or put back and raised."""

    can_drain: bool  # False for `none`: a plan says the gap in words
    can_switch: bool  # False for `none`: a strategy that needs colours refuses in words

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        """Hosts of `backends` that get no new requests now, read from the balancer. One never seen there is drained."""

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """No request is under way to it and none will come. Repeatable.

        Refuses to leave no other backend of `pool`; an empty `pool` says that nothing may be left (an undo).
        """

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """It gets its share again, from now. Repeatable."""

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        """Those of `backends`, of any slot and host, that get new requests now, read from the balancer."""

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        """From now every new request goes to one of `to` and none to `away`; on every balancer host or, put back, none.

        Verified by who answers: max(10, 3 * len(to)) fresh connections per balancer host, all of them. Repeatable.
        Raises RefusedError (nothing in `to`), FencedError, BalancerError (what was there before is there again).
        """

    def settle(self, session: Session, within: float) -> None:
        """Nothing is under way to what the last change took away, and nothing can come; else UnsettledError."""

    def close(self, session: Session, page: Page) -> None:
        """Maintenance: 503, Retry-After and the page for all that the page does not let through. Replaces another."""

    def open(self, session: Session) -> None:
        """Undoes `close`. Repeatable."""

    def closed(self, session: Session) -> bool:
        """Whether the page of `close` is up, read from the balancer; on any of its hosts."""

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        """What `drain`, `restore`, `switch` (to `backends`), `close` or `open` would do."""

    def preparations(self, site: Inventory, host: Host, programs: Mapping[str, str]) -> tuple[Preparation, ...]:
        """What an administrator does once on `host`, which has `programs`: word -> absolute path."""

    def faults(self, session: Session) -> tuple[Finding, ...]:
        """What of it would fail a change, found without making one; its hosts are asked side by side."""

    def warnings(self, session: Session) -> tuple[str, ...]:
        """What of its present settings could cost requests during a change, in words for the plan's notes."""

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        """One fresh request through the balancer, or None where there is none. Raises BalancerError."""


class Probe(Protocol):
    """One question to one target, asked once. A probe never raises for a sick target: that is a Reading."""

    def check(self, session: Session, target: Target, *, within: float) -> Reading: ...


class ProcessManager(Protocol):
    """Keeps an application's processes. Pure: returns Commands, runs nothing.

    The commands run on the host as its deploy user in a shell that has sourced nothing. `start` and `stop` mean
    `place.processes`, and leave the slot's others alone; `place.workers` holds for every start until `files` and
    `start` say otherwise, also for one after a reboot.
    """

    def programs(self, processes: Processes) -> Mapping[str, str]:
        """What hosts must have on the PATH of a command over SSH, or where the word says: word -> what needs it."""

    def preparations(self, host: Host, scope: str, programs: Mapping[str, str]) -> tuple[Preparation, ...]:
        """What an administrator does once on `host`, which has `programs`: word -> absolute path."""

    def is_gapless(self, processes: Processes) -> bool:
        """Whether `start` over a running release never stops listening, with all processes as configured."""

    def files(self, place: Placement) -> Mapping[str, str]:
        """Files of the slot that must exist before `start`: absolute path -> content. Holds no secrets."""

    def start(self, place: Placement) -> tuple[Command, ...]:
        """Makes the slot's processes run what `current` names now, whether they ran before or not."""

    def stop(self, place: Placement) -> tuple[Command, ...]:
        """None of the slot's processes runs afterwards; none running before is no error."""

    def prove(self, place: Placement) -> tuple[Command, ...]:
        """Starts one instance of the web process from the release's own folder on the proof port, workers paused."""

    def unprove(self, place: Placement) -> tuple[Command, ...]:
        """The proof is gone; none there is no error."""

    def running(self, place: Placement) -> Command:
        """Prints a line `slot/process pid folder` per running process of every slot; `folder` is its working one."""

    def save(self, place: Placement) -> tuple[Command, ...]:
        """What runs now comes back after a reboot."""

    def evidence(self, place: Placement) -> Command:
        """Prints the state and the last log lines of the slot's processes (of the proof, for slot `proof`)."""


class Strategy(Protocol):
    """How a site is changed. A frozen dataclass; its fields are the keys of its file.

    A class attribute `release` says which one it is about: `build` (when there is none), `earlier` or `present`.
    `asks` (name -> line, or a method that makes it of what was seen) is answered by the first host, in `seen.facts`.
    """

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Pure: the same values give the same plan. Raises RefusedError when the change must not be made."""


@runtime_checkable
class Session(Protocol):
    """What an action or an adapter may use while a run is on."""

    inventory: Inventory
    clock: Clock
    cancelled: threading.Event  # set: start nothing new, wake from sleeps

    @property
    def lease(self) -> tuple[str, int]:
        """The store's id and the generation under which the run changes things; ("", 0) outside of a run.

        What an adapter changes on a shared machine it changes only if that machine has seen no newer one of the store.
        """

    @property
    def store(self) -> Store: ...

    def shell(self, host: str) -> Shell:
        """The host's kept connection, opened on first use."""

    def guard(self, name: str) -> threading.Lock:
        """The lock under which lanes share `name`: one writer at a time per balancer host."""

    def say(self, line: str) -> None:
        """A line of output of the step that is running in this thread's lane."""


Subscriber = Callable[["Event"], None]
