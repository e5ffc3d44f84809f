"""One run at a time per application and environment: a lease in the store, renewed by compare-and-swap.

`lock.json` is never deleted, so its generation only grows, and hosts can refuse whoever holds an older one. Nobody's
wall clock matters: a lease is stale when its object has not changed for `ttl` on the monotonic clock of who watches it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from dojo_deploy.engine.holder import Holder
from dojo_deploy.engine.lease import HELD, KEY, Entry, Lease, decode, encode
from dojo_deploy.errors import ConflictError, InterruptedRunError, LockedError, OpenRunError
from dojo_deploy.interfaces import Clock, Store

__all__ = ["Entry", "Holder", "Lease", "read", "take"]

DEPLOY = "deploy"
MARGIN = 0.1  # of ttl: watched beyond it before a lease counts as stale


def take(
    store: Store,
    clock: Clock,
    *,
    run: str,
    ttl: float,
    holder: Holder,
    purpose: str = DEPLOY,
    cancelled: threading.Event | None = None,
    on_found: Callable[[bool], None] = lambda _: None,
) -> Lease:
    """The lock, taken for `run`, or for the run that is found open. `ttl` in seconds; `purpose`: deploy, resume, abort.

    `on_found` is told what the lock was found to be, just before it is taken: free, or somebody's who is gone. What is
    read from then on is read as under the lock, if it was free: that it could be taken shows that nobody else had it.

    Raises:
        LockedError: another run holds it and is alive.
        OpenRunError: a run never ended, and `purpose` is to begin another; the lock is free again.
        InterruptedRunError: `cancelled` was set while waiting.
    """
    lease = _Attempt(store, clock, run, ttl, holder, cancelled, on_found).lease()
    if purpose == DEPLOY and lease.open_run not in ("", run):
        lease.release(closed=False)
        raise OpenRunError(
            f"run {lease.open_run} began and never ended, so the fleet may be half way between two releases",
            hint="`invoke resume` goes on with it, `invoke abort` undoes it",
        )
    return lease


def read(store: Store) -> Entry | None:
    """Who holds the lock, or held it last; None when nobody ever did."""
    found = store.get(KEY)
    return decode(found.data) if found else None


@dataclass(frozen=True)
class _Attempt:
    """Taking the lock."""

    store: Store
    clock: Clock
    run: str
    ttl: float
    holder: Holder
    cancelled: threading.Event | None
    on_found: Callable[[bool], None]
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)

    def lease(self) -> Lease:
        while True:
            found = self.store.get(KEY)
            previous = decode(found.data) if found else None
            took_over = ""
            if found and previous and previous.state == HELD:
                took_over = f"{previous.holder}, run {previous.run}"
                self._watch(previous, found.etag)
            self.on_found(not took_over)
            asked = self.clock.monotonic()
            entry = self._entry(previous, took_over)
            try:
                etag = self.store.put(KEY, encode(entry), etag=found.etag if found else None, absent=found is None)
            except ConflictError:
                continue  # somebody was quicker: look at who it is
            return Lease(self.store, self.clock, entry, etag, asked=asked, open_run=entry.open)

    def _entry(self, previous: Entry | None, took_over: str) -> Entry:
        return Entry(
            store=previous.store if previous else uuid.uuid4().hex,
            generation=previous.generation + 1 if previous else 1,
            state=HELD,
            run=self.run or (previous.open if previous else ""),
            nonce=self.nonce,
            beat=0,
            ttl=self.ttl,
            holder=self.holder,
            since=self.clock.now(),
            open=previous.open if previous else "",
            took_over_from=took_over,
        )

    def _watch(self, held: Entry, etag: str) -> None:
        """Returns when the lease is stale or its holder dead; raises LockedError at its first sign of life."""
        deadline = self.clock.monotonic() + held.ttl * (1 + MARGIN)
        while self.clock.monotonic() < deadline and not held.holder.is_dead():
            self.clock.sleep(min(1.0, held.ttl / 20), self.cancelled)
            if self.cancelled and self.cancelled.is_set():
                raise InterruptedRunError("interrupted while it waited for the lock; nothing was changed")
            found = self.store.get(KEY)
            if found is None or found.etag != etag:
                raise LockedError(
                    f"locked by {held.holder}, run {held.run}, since {_moment(held.since)} "
                    f"({max(0.0, self.clock.now() - held.since):.0f} s){held.holder.url and ', ' + held.holder.url}",
                    hint="wait for it to end, or end it there",
                )


def _moment(since: float) -> str:
    return datetime.fromtimestamp(since, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
