"""Taking hosts out of the balancer and putting them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.interfaces import Backend, Balancer
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.plan import Gate, Step

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session


@dataclass(frozen=True)
class Drain:
    """No request is under way to the backend, and none will come."""

    balancer: Balancer
    backend: Backend
    pool: tuple[Backend, ...]

    def preview(self) -> tuple[str, ...]:
        return self.balancer.preview("drain", self.backend)

    def run(self, session: Session) -> None:
        self.balancer.drain(session, self.backend, self.pool)


@dataclass(frozen=True)
class Restore:
    """The backend gets its share again."""

    balancer: Balancer
    backend: Backend
    pool: tuple[Backend, ...]

    def preview(self) -> tuple[str, ...]:
        return self.balancer.preview("restore", self.backend)

    def run(self, session: Session) -> None:
        self.balancer.restore(session, self.backend, self.pool)


def drain(site: Inventory, host: Host, slot: str, *, gate: Gate | None = None) -> Step:
    """Takes the host out; undone by putting it back, once what it ran before passes `gate`."""
    back = Step("restore", Restore(*_ends(site, host, slot)), gate=gate, brings_traffic=True)
    return Step("drain", Drain(*_ends(site, host, slot)), undo=back)


def restore(site: Inventory, host: Host, slot: str, *, gate: Gate | None = None, served: bool = True) -> Step:
    """Puts the host in, and holds it to `gate` as users see it: through the balancer.

    Undone by taking it out again, so that undoing what came before meets no traffic. `served`: it was in when the fleet
    was looked at. If not, undoing takes it out even if nothing else is left.
    """
    balancer, backend, pool = _ends(site, host, slot)
    out = Step("drain", Drain(balancer, backend, pool if served else ()))
    return Step("restore", Restore(balancer, backend, pool), gate=gate, undo=out)


def _ends(site: Inventory, host: Host, slot: str) -> tuple[Balancer, Backend, tuple[Backend, ...]]:
    backends = site.backends(slot)
    return site.balancer, next(backend for backend in backends if backend.host == host.name), backends
