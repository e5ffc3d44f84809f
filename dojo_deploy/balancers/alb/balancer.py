"""Amazon's Application Load Balancer: a target group per colour, and a listener or a rule that sends to one of them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from dojo_deploy.balancers.alb import change, forward, maintenance, proof
from dojo_deploy.balancers.alb.api import RULE, Api, connect, region_of
from dojo_deploy.balancers.alb.site import Site
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Answer, Backend, Finding, Page, Preparation, Session
from dojo_deploy.inventory import BLUE, GREEN, Host, Inventory
from dojo_deploy.secrets import Secret


@dataclass(frozen=True)
class Alb:
    """Keys of `balancer:` for `kind: alb`. `front` is the ARN of a listener, or of one of its rules.

    `groups` names a target group per slot; rolling alone needs `blue` only. A target is what the host's label says
    (`labels: {target: i-0123…}`), else its address. Health checks are the groups' own. A maintenance page closes the
    whole listener, or what the rule is for; an ALB answers 1024 bytes at most, and cannot say Retry-After. What an ALB
    sends on names no host, so a switch is proven by the release that answers at the inventory's `url`.
    """

    groups: Mapping[str, str]  # slot -> name or ARN
    front: str
    region: str = ""  # empty: that of `front`
    label: str = "target"
    url: str = ""  # empty: the inventory's
    healthy_within: float = 300.0  # from registering; six checks of 30 s are Amazon's default
    drain_within: float = 330.0  # must exceed the groups' deregistration delay
    effect_within: float = 60.0  # from a change until all of Amazon's addresses answer by it
    endpoint: str = ""  # for what is not Amazon's own
    access_key: Secret | None = None
    secret_key: Secret | None = None

    can_drain = True

    @property
    def can_switch(self) -> bool:
        return BLUE in self.groups and GREEN in self.groups

    def check(self) -> None:
        """Raises ConfigError."""
        if ":listener/app/" not in self.front and f"{RULE}app/" not in self.front:
            raise ConfigError("wants the ARN of a listener, or of a rule, of an Application Load Balancer", key="front")
        unknown = sorted(set(self.groups) - {BLUE, GREEN})
        if unknown or BLUE not in self.groups:
            raise ConfigError("wants a target group for blue, and one for green if colours are switched", key="groups")
        if len(set(self.groups.values())) < len(self.groups):
            raise ConfigError("each colour wants a target group of its own", key="groups")

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        serving = {backend.host for backend in self.serving(session, backends)}
        return frozenset(backend.host for backend in backends) - serving

    def serving(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[Backend]:
        return self._site(session).serving(backends)

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        """Takes the group's whole deregistration delay, even if nothing is under way.

        Raises RefusedError when no other host of `pool` serves (an empty one allows it) or the delay is longer than
        `drain_within`, FencedError, BalancerError when it was put back.
        """
        change.drain(self._site(session), backend, pool, within=self.drain_within)

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:  # noqa: ARG002
        """Returns once Amazon calls it healthy. Raises RefusedError while another colour serves, BalancerError."""
        change.restore(self._site(session), backend, within=self.healthy_within)

    def switch(self, session: Session, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> None:
        """Raises RefusedError, FencedError, BalancerError when what was there before is there again."""
        if not to:
            raise RefusedError("a switch to nothing would leave the site without a backend")
        change.switch(
            self._site(session),
            to,
            away,
            url=self._url(session),
            healthy=self.healthy_within,
            effect=self.effect_within,
        )

    def settle(self, session: Session, within: float) -> None:
        """Waits for the load balancer's idle timeout: of requests it tells nothing, and a stream may go on.

        Raises BalancerError at once when that is longer than `within`.
        """
        change.settle(self._site(session), within)

    def close(self, session: Session, page: Page) -> None:
        """Raises RefusedError for a page that an ALB cannot answer, FencedError, BalancerError when it was put back."""
        maintenance.close(self._site(session), page, url=self._url(session), effect=self.effect_within)
        session.say("an ALB cannot say Retry-After: clients are told nothing of when to come back")

    def open(self, session: Session) -> None:
        """Raises BalancerError when the page is up again, FencedError."""
        maintenance.open_again(self._site(session), url=self._url(session), effect=self.effect_within)

    def closed(self, session: Session) -> bool:
        return maintenance.closed(self._site(session))

    def preview(self, verb: str, *backends: Backend) -> tuple[str, ...]:
        name = forward.short(self.front)
        if verb == "close":
            return (f"{name}: rules before all others: 503 and the page, without Retry-After",)
        if verb == "open":
            return (f"{name}: the page's rules are deleted",)
        if verb == "switch":
            hosts = ", ".join(f"{backend.host} {backend.address}" for backend in backends)
            group = self.groups.get(backends[0].slot, "") if backends else ""
            return (
                f"{group}: {hosts} registered and healthy, at most {self.healthy_within:g} s",
                f"{name}: forwards all to {group}, the other target group stays in with weight 0",
                f"{name}: until every answer is the new release's, at most {self.effect_within:g} s",
            )
        word = "deregister-targets" if verb == "drain" else "register-targets"
        wait = (
            f"for the target group's deregistration delay, at most {self.drain_within:g} s"
            if verb == "drain"
            else f"until healthy, at most {self.healthy_within:g} s"
        )
        return tuple(f"{self.groups.get(one.slot, '')}: {word} {one.host} {one.address}, {wait}" for one in backends)

    def preparations(
        self,
        site: Inventory,  # noqa: ARG002 - no host is its own
        host: Host,  # noqa: ARG002
        programs: Mapping[str, str],  # noqa: ARG002
    ) -> tuple[Preparation, ...]:
        return ()

    def faults(self, session: Session) -> tuple[Finding, ...]:
        """Nothing of Amazon's answer; that it answers at all is asked. Raises BalancerError, ConfigError."""
        self.serving(session, tuple(one for slot in self.groups for one in session.inventory.backends(slot)))
        return ()

    def warnings(self, session: Session) -> tuple[str, ...]:
        """What draining costs, in seconds, and what makes a switch slow or hard to prove."""
        return tuple(self._warnings(self._site(session)))

    def answer(self, session: Session, path: str = "/", *, within: float = 10.0) -> Answer | None:
        url = self._url(session)
        if not url:
            return None
        found = proof.ask(session, urllib.parse.urljoin(url, path), within=within)
        dotted = session.inventory.app.release_field
        release = (found.field(dotted) if dotted else None) or ""
        return Answer(found.status, "", release, found.body, found.headers.get("location", ""))

    def _warnings(self, site: Site) -> Iterator[str]:
        actions = site.front().actions
        shares, hosts = forward.weights(actions), len(site.session.inventory.group(site.session.inventory.web))
        for slot in site.groups:
            group, delay = self.groups[slot], change.delay_of(site, slot)
            if delay > self.drain_within:
                yield f"{group}: drains for {delay:g} s, longer than drain_within: no host can be drained"
            elif delay and shares.get(site.groups[slot]):
                yield (
                    f"{group}: every drain takes its deregistration delay, {delay:g} s, busy or not: "
                    f"{hosts} hosts one by one {hosts * delay / 60:.0f} min"
                )
            if site.groups[slot] not in shares:
                yield f"{group}: not in {forward.short(self.front)}: the first switch to {slot} waits for health checks"
        if sticky := forward.sticky_seconds(actions):
            yield f"{forward.short(self.front)}: sticky target groups: clients stay with the old colour for {sticky} s"
        if not self._url(site.session):
            yield f"{forward.short(self.front)}: no `url` to ask, so a switch is proven by Amazon's own word alone"

    def _url(self, session: Session) -> str:
        return self.url or session.inventory.url

    def _site(self, session: Session) -> Site:
        groups = {slot: self._api.group(name) for slot, name in self.groups.items()}
        return Site(session, self._api, self.front, groups, self.label)

    @cached_property
    def _api(self) -> Api:
        """Kept: making one takes a tenth of a second of the processor's time."""
        keys = {"access_key": self.access_key, "secret_key": self.secret_key}
        return connect(region=self.region or region_of(self.front), endpoint=self.endpoint, **keys)

    def __getstate__(self) -> dict[str, object]:
        return {item.name: getattr(self, item.name) for item in fields(self)}
