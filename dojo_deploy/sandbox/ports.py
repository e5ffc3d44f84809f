"""Ports nobody has: not now, and not another sandbox that is down or has not started its apps yet."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from .files import locked, write

# Below the range of outgoing connections: a port from inside it may be taken between two starts of its service.
CANDIDATES = range(20_000, 32_700)


def take(cache: Path, home: Path, count: int) -> list[int]:
    """`count` free ports of 127.0.0.1, remembered for the sandbox at `home` until `give_back`."""
    with locked(cache / "ports.lock"):
        claims = _claims(cache)
        taken = {port for ports in claims.values() for port in ports}
        ports = _free(count, taken)
        claims[str(home)] = claims.get(str(home), []) + ports
        write(cache / "ports.json", json.dumps(claims))
    return ports


def give_back(cache: Path, home: Path) -> None:
    with locked(cache / "ports.lock"):
        claims = _claims(cache)
        claims.pop(str(home), None)
        write(cache / "ports.json", json.dumps(claims))


def _claims(cache: Path) -> dict[str, list[int]]:
    path = cache / "ports.json"
    claims: dict[str, list[int]] = json.loads(path.read_text()) if path.is_file() else {}
    return {home: ports for home, ports in claims.items() if Path(home).is_dir()}


def _free(count: int, taken: set[int]) -> list[int]:
    order = random.sample(CANDIDATES, len(CANDIDATES))
    free = (port for port in order if port not in taken and _binds(port))
    return [next(free) for _ in range(count)]


def _binds(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
