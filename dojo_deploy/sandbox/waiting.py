"""Waiting for a condition, never for a while."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from dojo_deploy.errors import RefusedError


def until(condition: Callable[[], bool], seconds: float, what: str, hint: str = "", every: float = 0.02) -> None:
    """Return once `condition()` holds. Raises RefusedError after `seconds`, naming `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RefusedError(f"waited {seconds:g} s in vain for {what}", hint=hint)
        time.sleep(every)


def answers(port: int) -> bool:
    """True when something on 127.0.0.1 takes connections at `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
