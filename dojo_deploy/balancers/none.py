"""No balancer: clients reach the hosts directly, or through something that nobody here may change."""

# ruff: noqa: ARG002 - the protocol names the arguments
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.errors import RefusedError

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Answer, Backend, Finding, Page, Preparation, Session
    from dojo_deploy.inventory import Host, Inventory


@dataclass(frozen=True)
class NoBalancer:
    """Changes nothing: a plan names the gap that each host's change makes."""

    can_drain = False
    can_switch = False

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        return frozenset()

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Nothing."""

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Nothing."""

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        return frozenset(backends)

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        """Raises RefusedError: clients that come by themselves cannot be sent anywhere."""
        raise RefusedError("there is no balancer to switch the traffic with", hint="balancer: {kind: nginx, …}")

    def settle(self, session: Session, within: float) -> None:
        """Nothing."""

    def close(self, session: Session, page: Page) -> None:
        """Raises RefusedError: nobody stands before the hosts to answer in their place."""
        raise RefusedError("there is no balancer to show a maintenance page", hint="balancer: {kind: nginx, …}")

    def open(self, session: Session) -> None:
        """Nothing: it is never closed."""

    def closed(self, session: Session) -> bool:
        return False

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        return ()

    def preparations(self, site: Inventory, host: Host, programs: Mapping[str, str]) -> tuple[Preparation, ...]:
        return ()

    def faults(self, session: Session) -> tuple[Finding, ...]:
        return ()

    def warnings(self, session: Session) -> tuple[str, ...]:
        return ()

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        return None
