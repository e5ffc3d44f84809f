"""A command that ends once its users have what it was typed for, while a process of its own finishes what is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from invoke import Exit

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LET_GO = b"."

LetGo = Callable[[], None]


def apart(work: Callable[[LetGo | None], None]) -> None:
    """Does `work` in a process of its own and waits for its end, with signals passed on. Raises Exit unless it ends 0.

    What `work` is given ends the wait at once, as if all were done: from then on it says nothing and holds no terminal.
    Where threads run already, or in CI, which ends with a job all that it left, the work is done here, and given
    nothing to call: who types it waits for all of it.
    """
    if threading.active_count() > 1 or os.environ.get("CI"):
        work(None)
        return
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    if child:
        os.close(write)
        _wait(child, read)
        return
    os.close(read)
    # A session of its own from the start: a terminal's Ctrl-C comes once, passed on like any other signal.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)

    def let_go() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        os.close(nowhere)
        os.write(write, LET_GO)
        os.close(write)

    work(let_go)
    raise Exit(code=0)  # what else was typed is the waiting one's


def _wait(child: int, read: int) -> None:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)  # not reaped before these handlers are gone, so the pid is still its own

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    with open(read, "rb", buffering=0) as pipe:
        let_go = pipe.read(1) == LET_GO
    if not let_go:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    for number, handler in before.items():
        signal.signal(number, handler)
    code = 0 if let_go else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise Exit(code=code if code > 0 else 128 - code)
