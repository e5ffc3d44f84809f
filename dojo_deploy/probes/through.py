"""One answer of one host, asked the way users ask: through the balancer."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from dojo_deploy import http1
from dojo_deploy.interfaces import Answer

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Target

TRIES = 60
PAUSE = 0.02
UNNAMED = "some host"  # a `location` with headers of its own hides who answered; it may have been any


def through_balancer(session: Session, target: Target, path: str, *, within: float) -> tuple[http1.Response, str]:
    """The answer, and `upstream` as its proof where the balancer tells who gave it, UNNAMED where it does not.

    A balancer that tells is asked until the target's own host answers: another host's answer is no reading of this
    one. Raises OSError when it never does, or nothing can be asked; BalancerError from the balancer.
    """
    wanted = _address(session, target)
    deadline = session.clock.monotonic() + within
    others: set[str] = set()
    for _ in range(TRIES):
        rest = max(0.1, deadline - session.clock.monotonic())
        answer = session.inventory.balancer.answer(session, path, within=rest)
        if answer is None:
            return _site(session, path, deadline - session.clock.monotonic()), ""
        if not answer.upstream or not wanted:
            return _response(answer), UNNAMED
        if answer.upstream == wanted:
            return _response(answer), "upstream"
        others.add(answer.upstream)
        if session.clock.monotonic() >= deadline:
            break
        session.clock.sleep(PAUSE, session.cancelled)
    raise OSError(f"no answer of {target.host} ({wanted}) through the balancer, only of {', '.join(sorted(others))}")


def _address(session: Session, target: Target) -> str:
    host = session.inventory.hosts.get(target.host)
    port = host.port(session.inventory.app.processes.web, target.slot) if host else 0
    return f"{host.upstream or host.address}:{port}" if host and port else ""


def _site(session: Session, path: str, within: float) -> http1.Response:
    if not session.inventory.url:
        raise OSError("nothing to ask: there is no balancer, and the inventory has no `url`")
    return http1.fetch_url(urllib.parse.urljoin(session.inventory.url, path), clock=session.clock, within=within)


def _response(answer: Answer) -> http1.Response:
    return http1.Response(answer.status, {"location": answer.location} if answer.location else {}, answer.body)
