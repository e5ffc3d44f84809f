"""The maintenance page: up, and proven by what strangers get; down, and proven by what they get then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy.errors import BalancerError, RefusedError
from dojo_deploy.interfaces import Balancer, Page
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER, Lane, Stage, Step

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session


@dataclass(frozen=True)
class Close:
    """503 with Retry-After from every balancer host, proven by what a stranger gets; or, put back, from none.

    Repeatable: what is up already is put up and proven once more.
    """

    balancer: Balancer
    page: Page

    def preview(self) -> tuple[str, ...]:
        passes = ", ".join((*self.page.exempt, *self.page.allow)) or "nothing"
        told = f"503, Retry-After {self.page.retry_after:.0f}; let through: {passes}"
        return (*self.balancer.preview("close"), f"until every balancer host answers strangers so: {told}")

    def run(self, session: Session) -> None:
        self.balancer.close(session, self.page)
        if not self.balancer.closed(session):
            raise BalancerError("the maintenance page was put up, and is not there")


@dataclass(frozen=True)
class Open:
    """Requests pass again, on every balancer host."""

    balancer: Balancer

    def preview(self) -> tuple[str, ...]:
        return self.balancer.preview("open")

    def run(self, session: Session) -> None:
        self.balancer.open(session)
        if self.balancer.closed(session):
            raise BalancerError("the maintenance page was taken down, and is still up")


def close(site: Inventory, page: Page) -> Stage:
    """The page goes up; undone by taking it down."""
    refuse_without_page(site)
    down = Step("open", Open(site.balancer))
    shown = Close(site.balancer, with_health(site, page))
    return Stage("close", (Lane(CONTROLLER, (Step("close", shown, undo=down),)),))


def with_health(site: Inventory, page: Page) -> Page:
    """The page with the health path let through: what asks there must go on learning how the hosts are."""
    return replace(page, exempt=tuple(dict.fromkeys((*page.exempt, site.app.health))))


def refuse_without_page(site: Inventory) -> None:
    """Raises RefusedError where nobody stands before the hosts to answer in their place."""
    if not site.balancer.can_drain:
        raise RefusedError("there is no balancer to show a maintenance page", hint="balancer: {kind: nginx, hosts: lb}")
