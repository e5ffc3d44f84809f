"""Ctrl-C and SIGTERM during a run: the first stops at the next step's edge, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = 130
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stops(cancelled: threading.Event, *, say: Callable[[str], None], restore: Callable[[], None]) -> Iterator[None]:
    """Within the block the first signal sets `cancelled`; a second one restores the terminal and ends the process.

    Signals can only be caught in the main thread; a program that calls from another one handles its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    heard: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        # Not by `cancelled`: a run that undoes itself after the first signal has taken it back.
        heard.append(number)
        if len(heard) > 1:
            try:
                restore()
            finally:
                os._exit(INTERRUPTED)
        cancelled.set()
        # Not from here: the thread that was interrupted may hold the very locks that telling takes.
        text = f"{signal.Signals(number).name}: stopping at the next step; once more to stop at once"
        threading.Thread(target=say, args=(text,), daemon=True).start()

    with _handled(on_signal):
        yield


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP are what Ctrl-C is: a KeyboardInterrupt, so that everything is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(on_signal):
        yield


@contextlib.contextmanager
def _handled(on_signal: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, on_signal) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
