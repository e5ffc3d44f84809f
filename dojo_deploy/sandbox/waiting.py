"""Waiting for a condition, never for a while."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import RefusedError


@dataclass(frozen=True)
class Watched:
    """A daemon that is being waited for: `alive` tells whether waiting still makes sense, `log` why it does not."""

    alive: Callable[[], bool]
    log: Path

    def until(self, condition: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
        """Return once `condition()` holds. Raises RefusedError after `seconds`, or as soon as the daemon is gone."""
        try:
            until(lambda: not self.alive() or condition(), seconds, what, every)
        except RefusedError as error:
            raise RefusedError(error.message, hint=tail(self.log)) from error
        if not self.alive():
            raise RefusedError(f"waited for {what}, and its process ended", hint=tail(self.log))


def until(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Return once `condition()` holds. Raises RefusedError after `seconds`, telling `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RefusedError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(every)


def tail(log: Path, lines: int = 5) -> str:
    """Where to read on, and the log's last lines."""
    text = log.read_text(errors="replace").splitlines()[-lines:] if log.is_file() else []
    return "\n    ".join([f"see {log}", *text])


def answers(port: int) -> bool:
    """True when something on 127.0.0.1 takes connections at `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
