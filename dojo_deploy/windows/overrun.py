"""Looks at the clock while a run goes on in a window: warns before its end, and names the decision at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dojo_deploy import outbox
from dojo_deploy.errors import DojoError
from dojo_deploy.interfaces import Session
from dojo_deploy.windows import diary
from dojo_deploy.windows.window import CLOSED, Window

WARN_AT = 0.8  # of the window
POLL = 10.0  # seconds after which an extension is noticed
LONGER = "The maintenance takes longer than planned. We are at work on it."


@contextmanager
def watched(session: Session, window: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block `tell` is called once 80 % of the window are over, and once all of it is, while it is closed.

    After an extension both count anew. Without a window nothing happens.
    """
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(session, window, tell, done), daemon=True, name="window")
    if window:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if window:
            thread.join(POLL)


def warning(window: Window, now: float, told: set[tuple[str, str]]) -> str:
    """What is to be said now, if it was not `told`, which it is added to; empty: nothing."""
    if window.state != CLOSED:
        return ""
    if now >= window.ends_at and ("end", window.ends) not in told:
        told |= {("end", window.ends), ("soon", window.ends)}
        return (
            f"the window ({window.span}) has ended, and the site is in maintenance. Decide now: "
            "`invoke maintenance.extend --by 30m` goes on and tells users; Ctrl-C, then `invoke maintenance.abort`, "
            "brings the site back"
        )
    soon = window.starts_at + WARN_AT * (window.ends_at - window.starts_at)
    if now >= soon and ("soon", window.ends) not in told:
        told.add(("soon", window.ends))
        left = max(0.0, window.ends_at - now)
        return (
            f"{WARN_AT:.0%} of the window ({window.span}) are over, {left / 60:.0f} minutes are left: "
            "`invoke maintenance.extend --by 30m` if that is too little"
        )
    return ""


def _watch(session: Session, name: str, tell: Callable[[str], None], done: threading.Event) -> None:
    told: set[tuple[str, str]] = set()
    clock = session.clock
    while not done.is_set():
        pause = POLL
        try:
            window = diary.find(session.store, name)
            now = clock.now()
            said = warning(window, now, told)
            if said:
                tell(said)
                if now >= window.ends_at:
                    outbox.post(session, window.notice("in_progress", LONGER))
            length = window.ends_at - window.starts_at
            ahead = [moment - now for moment in (window.starts_at + WARN_AT * length, window.ends_at) if moment > now]
            pause = min(POLL, *ahead) if ahead else POLL
        except DojoError:
            pass  # the store does not answer now; the next look may go better, and the run has its own to say
        clock.sleep(max(0.05, pause), done)
