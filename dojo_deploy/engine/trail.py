"""What must be known afterwards: every event to every subscriber in one order, the journal first."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from dojo_deploy.clock import utc
from dojo_deploy.events import Event, Warned
from dojo_deploy.interfaces import Clock, Subscriber


class Journal(Protocol):
    def write(self, event: Event) -> None: ...
    def sync(self) -> None: ...


class Notes(Protocol):
    def note(self, run: str, kind: str, data: dict[str, object]) -> None: ...


class EventTrail:
    """Stamps events and hands them on, journal first, one at a time. A subscriber that fails cannot stop the run."""

    def __init__(self, clock: Clock, subscribers: Iterable[Subscriber] = ()) -> None:
        self._clock = clock
        self._subscribers = list(subscribers)
        self._lock = threading.RLock()
        self._seq = 0
        self._journal: Journal | None = None
        self._notes: Notes | None = None
        self._run = ""
        self._early: list[Event] = []

    def attach(self, journal: Journal, notes: Notes, run: str) -> None:
        """From here on everything is on disk, including what was emitted before."""
        with self._lock:
            for event in self._early:
                journal.write(event)
            self._early.clear()
            self._journal, self._notes, self._run = journal, notes, run

    def emit(self, event: Event) -> None:
        with self._lock:
            self._seq += 1
            stamped = replace(event, seq=self._seq, at=utc(self._clock.now()))
            if self._journal:
                self._journal.write(stamped)
            else:
                self._early.append(stamped)
            for subscriber in tuple(self._subscribers):
                try:
                    subscriber(stamped)
                except Exception as exc:
                    # Whoever watches may fail in any way; what runs must not.
                    self._subscribers.remove(subscriber)
                    self.emit(Warned(text=f"a subscriber failed and is left out: {type(exc).__name__}: {exc}"))

    def sync(self) -> None:
        with self._lock:
            if self._journal:
                self._journal.sync()

    def note(self, kind: str, **data: object) -> None:
        """Durable in the store before it returns."""
        if self._notes:
            self._notes.note(self._run, kind, {"at": utc(self._clock.now()), **data})
