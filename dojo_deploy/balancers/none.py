"""No balancer: clients reach the hosts directly, or through something that nobody here may change."""

# ruff: noqa: ARG002 - the protocol names the arguments
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Answer, Backend, Session


@dataclass(frozen=True)
class NoBalancer:
    """Changes nothing: a plan names the gap that each host's change makes."""

    can_drain = False

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        return frozenset()

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Nothing."""

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Nothing."""

    def preview(self, verb: str, backend: Backend) -> tuple[str, ...]:
        return ()

    def warnings(self, session: Session) -> tuple[str, ...]:
        return ()

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        return None
