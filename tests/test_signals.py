from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from dojo_deploy.signals import ASKING, stops

# A machine that is busy starts threads and processes late; what is awaited here comes, or never does.
WITHIN = 30
TWICE = f"""
WITHIN = {WITHIN}
import os, signal, sys, threading
from dojo_deploy.signals import stops
cancelled = threading.Event()
with stops(cancelled, say=lambda text: None, restore=lambda: os.write(1, b"restored")):
    os.kill(os.getpid(), signal.SIGINT)
    assert cancelled.wait(WITHIN)
    cancelled.clear()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(WITHIN)
"""


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_that_interrupts_the_holder_of_a_lock_is_told_without_waiting_for_it(number: int) -> None:
    cancelled, said, lock = threading.Event(), threading.Event(), threading.Lock()
    texts: list[str] = []

    def say(text: str) -> None:
        with_lock = lock.acquire(timeout=WITHIN)
        texts.append(text if with_lock else "waited for itself")
        lock.release()
        said.set()

    with stops(cancelled, say=say, restore=lambda: None):
        with lock:
            os.kill(os.getpid(), number)
            assert cancelled.wait(WITHIN)
        assert said.wait(WITHIN)
    assert texts == [f"{signal.Signals(number).name}: stopping at the next step; once more to stop at once"]


def test_a_second_signal_ends_the_process_though_the_first_was_taken_back() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, timeout=2 * WITHIN)
    assert (done.returncode, done.stdout) == (130, b"restored")


def test_the_handlers_of_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in ASKING]
    with stops(threading.Event(), say=lambda _: None, restore=lambda: None):
        assert [signal.getsignal(number) for number in ASKING] != before
    assert [signal.getsignal(number) for number in ASKING] == before


def test_another_thread_leaves_signals_to_its_program() -> None:
    seen: list[bool] = []

    def inside() -> None:
        before = [signal.getsignal(number) for number in ASKING]
        with stops(threading.Event(), say=lambda _: None, restore=lambda: None):
            seen.append([signal.getsignal(number) for number in ASKING] == before)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(WITHIN)
    assert seen == [True]
