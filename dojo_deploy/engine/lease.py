"""The lock while it is held: what `lock.json` says, and the thread that keeps it true."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

from dojo_deploy.engine.holder import Holder
from dojo_deploy.errors import ConflictError, FencedError, StoreError, TransportError
from dojo_deploy.interfaces import Clock, Store

KEY = "lock.json"
HELD, RELEASED = "held", "released"
BEATS = 3  # renewals per ttl
TRUSTED = 2 / 3  # of ttl: for so long after a renewal the holder acts on it


@dataclass(frozen=True)
class Entry:
    """What `lock.json` says. `open` is the run that began to change hosts and has not ended."""

    store: str
    generation: int
    state: str
    run: str
    nonce: str
    beat: int
    ttl: float
    holder: Holder
    since: float
    open: str = ""
    took_over_from: str = ""


class Lease:
    """The lock, held. A thread renews it until `release`; `lost` is set as soon as it is known not to be ours.

    Use `check()` before every change: it raises FencedError when the lease is lost, or was not renewed lately enough
    for nobody to have taken it over.
    """

    def __init__(self, store: Store, clock: Clock, entry: Entry, etag: str, *, asked: float, open_run: str) -> None:
        self.open_run = open_run  # the run that was found open, or an empty string
        self.generation = entry.generation
        self.store_id = entry.store
        self.lost = threading.Event()
        self._store = store
        self._clock = clock
        self._entry = entry
        self._etag = etag
        self._renewed = asked
        self._writes = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    @property
    def took_over_from(self) -> str:
        """Whose lease was taken over, in words; empty when it had been released."""
        return self._entry.took_over_from

    def check(self) -> None:
        """Raises FencedError unless the lock is known to be ours now."""
        age = self._clock.monotonic() - self._renewed
        if self.lost.is_set() or age > TRUSTED * self._entry.ttl:
            raise FencedError(
                f"run {self._entry.run} no longer holds the lock (generation {self.generation}): last renewed "
                f"{age:.0f} s ago, with a ttl of {self._entry.ttl:.0f} s",
                hint="another run may have taken over: look at `invoke status`",
            )

    def open(self, run: str) -> None:
        """Marks `run` open, before its first change. Raises FencedError when the lock is not ours any more."""
        self._write(open=run)

    def renew(self) -> None:
        """One heartbeat, now. Raises FencedError, or StoreError when the store gives no answer."""
        self._write(beat=self._entry.beat + 1)

    def release(self, *, closed: bool) -> None:
        """Lets others in; `closed` says that the open run has ended. Raises FencedError. Repeatable."""
        if self._entry.state == RELEASED:
            return
        self._ended.set()
        self._thread.join()
        self._write(state=RELEASED, **({"open": ""} if closed else {}))

    def _beat(self) -> None:
        rest = self._entry.ttl / BEATS
        while True:
            self._clock.sleep(rest, self._ended)
            if self._ended.is_set():
                return
            try:
                self.renew()
                rest = self._entry.ttl / BEATS
            except FencedError:
                return
            except (StoreError, TransportError):
                rest = self._entry.ttl / BEATS / 4
                if self._clock.monotonic() - self._renewed > TRUSTED * self._entry.ttl:
                    self.lost.set()
                    return

    def _write(self, **changes: Any) -> None:
        with self._writes:
            if self.lost.is_set():
                self.check()
            # Counted from before the question: the store may have answered late.
            asked = self._clock.monotonic()
            entry = replace(self._entry, **changes)
            try:
                self._etag = self._swap(entry)
            except ConflictError as exc:
                self.lost.set()
                raise FencedError(
                    f"another run took the lock over from run {entry.run} (generation {entry.generation})",
                    hint="look at `invoke status`; nothing more was changed by this run",
                ) from exc
            self._entry, self._renewed = entry, asked

    def _swap(self, entry: Entry) -> str:
        try:
            return self._store.put(KEY, encode(entry), etag=self._etag)
        except ConflictError:
            # An earlier write of ours may have arrived though its answer never came.
            found = self._store.get(KEY)
            if found is None or decode(found.data).nonce != entry.nonce:
                raise
            return self._store.put(KEY, encode(entry), etag=found.etag)


def encode(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), indent=1).encode()


def decode(data: bytes) -> Entry:
    try:
        values = json.loads(data)
        known = {name: values[name] for name in Entry.__dataclass_fields__ if name in values}
        return Entry(**{**known, "holder": Holder.from_dict(values["holder"])})
    except (ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"{KEY} in the store is not a lock: {exc}", hint="was it edited by hand?") from exc
