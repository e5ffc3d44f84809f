"""Whether the application answers, what it says of itself, and which release says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dojo_deploy import http1
from dojo_deploy.errors import BalancerError, TransportError
from dojo_deploy.interfaces import Reading
from dojo_deploy.probes import aim
from dojo_deploy.probes.through import UNNAMED, through_balancer

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Target


@dataclass(frozen=True)
class HttpProbe:
    """Keys of a probe with `kind: http`: one GET, from the host itself or through the balancer.

    No redirect is followed: one is a failure that names where it leads, unless `status` lists it. `json` is dotted
    field -> the text expected there (`true` and `3` as JSON writes them).
    """

    path: str = ""  # empty: app.health
    status: tuple[int, ...] = ()  # empty: 200 to 299
    json: Mapping[str, str] = field(default_factory=dict)
    release: bool = True  # an answer that names another release is a failure
    host: str = ""  # Host header; empty: the address and port
    port: int = 0  # 0: that of `process` in the target's slot
    process: str = ""  # empty: the one that listens
    address: str = "127.0.0.1"

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        app = session.inventory.app
        started = session.clock.monotonic()
        try:
            response, proof = self._ask(session, target, self.path or app.health, within)
        except TransportError as exc:
            return aim.lost(exc)
        except (OSError, BalancerError) as exc:
            return Reading(False, f"{self.path or app.health}: {exc}, {_since(session, started)}")
        complaints = self._complaints(response)
        said = response.field(app.release_field) if app.release_field and self.release else None
        # While a rollout is on, hosts differ: an answer of nobody knows whom says nothing of this one's release.
        if proof != UNNAMED and said is not None and target.release and said != target.release:
            complaints.append(f"answers release {aim.excerpt(said.encode())}, want {target.release}")
        about = f"{response.status}, {_since(session, started)}: {aim.excerpt(response.body)}"
        detail = f"{'; '.join(complaints)} ({about})" if complaints else about
        return Reading(not complaints, detail, proof or ("health" if said is not None else ""))

    def _ask(self, session: Session, target: Target, path: str, within: float) -> tuple[http1.Response, str]:
        if target.via == "balancer":
            return through_balancer(session, target, path, within=within)
        port = aim.port_of(aim.place(session, target), process=self.process, port=self.port)
        started = session.clock.monotonic()
        tunnel = session.shell(target.host).dial(self.address, port, within=within)
        rest = within - (session.clock.monotonic() - started)
        headers = {"Host": self.host or f"{self.address}:{port}", "User-Agent": "dojo_deploy"}
        return http1.fetch(tunnel, path, clock=session.clock, within=rest, headers=headers), ""

    def _complaints(self, response: http1.Response) -> list[str]:
        found = []
        good = response.status in self.status if self.status else 200 <= response.status < 300
        if not good:
            location = response.headers.get("location", "")
            wanted = ", ".join(map(str, self.status)) or "200 to 299"
            found.append(f"redirects to {aim.excerpt(location.encode())}" if location else f"want {wanted}")
        for dotted, wanted in self.json.items():
            said = response.field(dotted)
            if said != wanted:
                seen = "nothing" if said is None else aim.excerpt(said.encode())
                found.append(f"{dotted} is {seen}, want {wanted}")
        return found


def _since(session: Session, started: float) -> str:
    return f"{(session.clock.monotonic() - started) * 1000:.0f} ms"
