"""Statements that no transaction may hold: tried until they are done; nothing half built is left of what failed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.errors import (
    ConfigError,
    DatabaseError,
    DojoError,
    InterruptedRunError,
    LostError,
    RefusedError,
    UnreachableError,
)
from dojo_deploy.tuning import Tuning, Work

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

LOOK_EVERY = 2.0  # seconds between two looks at how far it is; then rarer and rarer, as it may take hours
LOOK_AT_LEAST_EVERY = 15.0
PAUSE = 5.0  # before another attempt, times the number of attempts
REACH = 120.0  # a host that was lost is tried for so long


@dataclass(frozen=True)
class Patience:
    """`within`: what one statement may take; `lock_within`: each lock that it waits for; seconds."""

    within: float = 6 * 3600.0
    lock_within: float = 60.0
    tries: int = 3

    def __post_init__(self) -> None:
        if min(self.within, self.lock_within, self.tries) <= 0:  # to the server 0 is for ever
            raise ConfigError("wants some time, and one attempt at least", hint="--within 6h --lock-within 60s")


def tuned(session: Session) -> Tuning:
    """The database's own. Raises ConfigError where there is none."""
    site = session.inventory
    if site.database is None:
        raise ConfigError("no database", where=site.path, key="database", hint="{kind: postgres, name: …, host: …}")
    return site.database.tuning


def persist(
    session: Session,
    work: Work,
    tries: int,
    *,
    is_done: Callable[[], bool] | None = None,
    clean: Callable[[], None] = lambda: None,
) -> None:
    """Does `work` until `is_done`, or until the server has said so. Before each attempt nothing of ours is at it any
    more, and `clean` was called.

    Raises DatabaseError; LostError when the host does not come back, and then it may still go on there.
    """
    clock = session.clock
    lost_at: float | None = None
    failed, did = 0, False
    while True:
        if session.cancelled.is_set():
            raise InterruptedRunError("stopped by a signal")
        try:
            settle(session, work.table, within=work.within)
            if is_done() if is_done else did:
                return
            if did:
                raise DatabaseError(f"done by the server's word, and yet not so: {work.sql}")
            clean()
            did = _watched(session, work)
            lost_at = None
        except (LostError, UnreachableError) as exc:
            now = clock.monotonic()
            lost_at = now if lost_at is None and isinstance(exc, LostError) else lost_at
            if lost_at is None or now - lost_at > REACH:
                raise
            session.say(f"{exc.message}: asking what became of it")
            clock.sleep(1.0, session.cancelled)
        except DatabaseError as exc:
            failed += 1
            if session.cancelled.is_set() or not exc.passes or failed >= tries:
                _give_up(session, exc, clean)
            session.say(f"attempt {failed} of {tries}: {exc.message}")
            clock.sleep(PAUSE * failed, session.cancelled)


def settle(session: Session, table: int, *, within: float) -> None:
    """Returns when no session of ours works on the table any more. Raises DatabaseError after `within` seconds."""
    tuning, deadline = tuned(session), session.clock.monotonic() + within
    told = ""
    while tuning.busy(session, table):
        if session.cancelled.is_set():
            raise InterruptedRunError("stopped by a signal")
        if session.clock.monotonic() > deadline:
            raise DatabaseError("an earlier session of ours is still at work on the table")
        said = tuning.progress(session, table) or "an earlier session of ours is at work"
        if said != told:
            session.say(said)
        told = said
        session.clock.sleep(LOOK_EVERY / 2, session.cancelled)


def refuse_small(free: int | None, needed: int, what: str) -> None:
    """Raises RefusedError where there is less room than the work may take."""
    if free is not None and free < needed:
        raise RefusedError(
            f"{what} may take {size(needed)} of disk (itself, its sort and its WAL), and {size(free)} are free",
            hint="make room; an inventory whose database lies elsewhere names a folder there as database.data",
        )


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _give_up(session: Session, exc: DatabaseError, clean: Callable[[], None]) -> None:
    """Raises what ended it, with what was in its way; what is half built is removed as far as that goes."""
    way = ""
    with contextlib.suppress(DojoError):
        way = tuned(session).in_the_way(session) if exc.passes else ""
    with contextlib.suppress(DojoError):  # the step's undo does it again, and says so if it cannot
        clean()
    if session.cancelled.is_set():
        raise InterruptedRunError("stopped by a signal") from exc
    raise DatabaseError(exc.message, hint="; ".join(part for part in (way, exc.hint) if part)) from exc


def _watched(session: Session, work: Work) -> bool:
    with _watching(session, work.table):
        return tuned(session).work(session, work)


@contextlib.contextmanager
def _watching(session: Session, table: int) -> Iterator[None]:
    """Says how far it is, and after a signal asks the server to stop."""
    over = threading.Event()

    def watch() -> None:
        tuning, clock, told, asked = tuned(session), session.clock, "", False
        pause, due = LOOK_EVERY, clock.monotonic()
        clock.sleep(LOOK_EVERY, over)
        while not over.is_set():
            with contextlib.suppress(DojoError):
                if session.cancelled.is_set() and not asked:
                    tuning.cancel(session, table)
                    asked = True
                if clock.monotonic() >= due:
                    pause = min(LOOK_AT_LEAST_EVERY, 1.3 * pause)
                    due = clock.monotonic() + pause
                    said = tuning.progress(session, table)
                    if said and said != told:
                        session.say(said)
                    told = said
            clock.sleep(LOOK_EVERY, over)

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
