"""Proof by the site itself: fresh connections to every address of the load balancer, and who answers them."""

from __future__ import annotations

import socket
import urllib.parse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dojo_deploy import http1
from dojo_deploy.errors import BalancerError, TransportError

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Backend, Session

ASK_WITHIN = 5.0
POLL = 1.0
Fits = Callable[[http1.Response], str]


def prove(session: Session, url: str, fits: Fits, *, times: int, within: float) -> None:
    """Until `times` answers in a row at each address fit; `fits` says what is wrong with one, or nothing.

    Raises BalancerError with the last complaint after `within` seconds.
    """
    deadline = session.clock.monotonic() + within
    for address in addresses(url):
        count = 0
        while count < times:
            complaint = _complaint(session, url, address, fits)
            count = 0 if complaint else count + 1
            if count < times and session.clock.monotonic() >= deadline:
                complaint = complaint or f"only {count} of {times} answers have come"
                raise BalancerError(f"{url} at {address}, {within:g} s after the change: {complaint}")
            if complaint:
                session.clock.sleep(POLL)


def addresses(url: str) -> tuple[str, ...]:
    """Every address of the load balancer that this machine can reach, each once. Raises BalancerError."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError as exc:
        raise BalancerError(f"{url}: {exc}") from exc
    return tuple(dict.fromkeys(str(row[4][0]) for row in found))


def ask(session: Session, url: str, *, within: float, address: str = "") -> http1.Response:
    """Raises BalancerError."""
    try:
        return http1.fetch_url(url, clock=session.clock, within=within, address=address)
    except OSError as exc:
        raise BalancerError(f"{url}: {exc}") from exc


def releases(session: Session, backends: Iterable[Backend]) -> frozenset[str]:
    """What backends say they run, each asked straight from its own host; `` for one that does not say it."""
    return frozenset(_release(session, backend) for backend in backends)


def _release(session: Session, backend: Backend) -> str:
    app, (address, _, port) = session.inventory.app, backend.address.rpartition(":")
    try:
        tunnel = session.shell(backend.host).dial(address.strip("[]"), int(port), within=ASK_WITHIN)
        headers = {"Host": backend.address, "User-Agent": "dojo_deploy"}
        found = http1.fetch(tunnel, app.health, clock=session.clock, within=ASK_WITHIN, headers=headers)
    except (OSError, TransportError):
        return ""
    return (found.field(app.release_field) if app.release_field else None) or ""


def _complaint(session: Session, url: str, address: str, fits: Fits) -> str:
    try:
        return fits(ask(session, url, within=ASK_WITHIN, address=address))
    except BalancerError as exc:
        return exc.message
