"""TCP connections that notice a dead peer and do not wait for company before they send."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from typing import Any

from dojo_deploy.interfaces import Clock

Address = tuple[int, Any]  # family, what connect() takes


def connect(address: str, port: int, *, deadline: float, dead_after: float, clock: Clock) -> socket.socket:
    """A connection to the first of the name's addresses that answers before `deadline`, a time on the clock.

    A peer that acknowledges nothing for `dead_after` seconds ends it. Raises OSError.
    """
    failed: OSError = TimeoutError("timed out")
    for family, place in _resolve(address, port, deadline - clock.monotonic()):
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            break
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            _tune(sock, dead_after)
            sock.settimeout(remaining)
            sock.connect(place)
        except OSError as exc:
            sock.close()
            failed = exc
        else:
            return sock
    raise failed


def _resolve(address: str, port: int, within: float) -> list[Address]:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        return _look_up(address, port, within)
    return [(family, (address, port))]


def _look_up(address: str, port: int, within: float) -> list[Address]:
    # getaddrinfo takes no timeout and cannot be interrupted, so it is left behind in its thread.
    answer: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            answer.put(exc if isinstance(exc, OSError) else OSError(f"{address!r} is no host name"))
        else:
            answer.put([(family, place) for family, _, _, _, place in found])

    threading.Thread(target=ask, daemon=True, name=f"resolve {address}").start()
    try:
        result = answer.get(timeout=max(within, 0))
    except queue.Empty:
        raise TimeoutError(f"no answer to the look-up of {address!r}") from None
    if isinstance(result, OSError):
        raise result
    return result


def _tune(sock: socket.socket, dead_after: float) -> None:
    # Without NODELAY each round trip waits 40 ms for a delayed acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    third = max(1, int(dead_after / 3))
    for name, value in (
        ("TCP_KEEPIDLE", third),
        ("TCP_KEEPINTVL", third),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", int(dead_after * 1000)),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
