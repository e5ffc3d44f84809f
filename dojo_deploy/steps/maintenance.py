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


@dataclass(frozen=True)
class Quiet:
    """The requests that came in before the page have ended: what they wrote is in whatever is read from now on."""

    balancer: Balancer
    within: float

    def preview(self) -> tuple[str, ...]:
        return (f"until no request of before the page is under way, at most {self.within:g} s",)

    def run(self, session: Session) -> None:
        """Raises BalancerError when one still is."""
        self.balancer.settle(session, self.within)


def close(site: Inventory, page: Page, *, settle: float = 60.0) -> Stage:
    """The page goes up, and older requests end, within `settle` seconds; undone by taking the page down."""
    refuse_without_page(site)
    down = Step("open", Open(site.balancer))
    up = Step("close", Close(site.balancer, with_health(site, page)), undo=down)
    quiet = Step("settle", Quiet(site.balancer, settle), deadline=settle + 30.0)
    return Stage("close", (Lane(CONTROLLER, (up, quiet)),))


def with_health(site: Inventory, page: Page) -> Page:
    """The page with the health path let through: what asks there must go on learning how the hosts are."""
    return replace(page, exempt=tuple(dict.fromkeys((*page.exempt, site.app.health))))


def refuse_without_page(site: Inventory) -> None:
    """Raises RefusedError where nobody stands before the hosts to answer in their place."""
    if not site.balancer.can_drain:
        raise RefusedError("there is no balancer to show a maintenance page", hint="balancer: {kind: nginx, hosts: lb}")
