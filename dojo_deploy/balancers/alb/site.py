"""One site behind an Application Load Balancer: what is there now, and the few changes that all others are made of."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dojo_deploy.balancers.alb import forward
from dojo_deploy.balancers.alb.api import Api, Front, Row, Target
from dojo_deploy.errors import BalancerError, ConfigError, DojoError, FencedError, LostError, RefusedError
from dojo_deploy.interfaces import Backend, Session

POLL = 2.0  # Amazon allows an account ten such questions in a second, whoever of its lanes asks
PAGE, PASS = "page", "pass"
Undo = Callable[[], object]


@dataclass(frozen=True)
class Site:
    """`groups` is slot -> target group; `front` the listener or rule; `label` the host label with a target's id."""

    session: Session
    api: Api
    front_arn: str
    groups: Mapping[str, str]
    label: str

    def group(self, slot: str) -> str:
        """Raises ConfigError for a slot without a target group."""
        try:
            return self.groups[slot]
        except KeyError:
            raise ConfigError(f"the slot {slot} has no target group", key=f"balancer.groups.{slot}") from None

    def target(self, backend: Backend) -> Target:
        """By the host's label, an instance's id, or by its address. Raises ConfigError when that is a name."""
        address, _, port = backend.address.rpartition(":")
        host = self.session.inventory.hosts.get(backend.host)
        found = (host.labels.get(self.label, "") if host else "") or address.strip("[]")
        if not (found.startswith("i-") or is_address(found)):
            raise ConfigError(
                f"{backend.host}: a target is an instance's id or an IP address, and not {found!r}",
                key="hosts",
                hint=f"labels: {{{self.label}: i-…}} for that host, or its `upstream` as an address",
            )
        return found, int(port)

    def front(self) -> Front:
        return self.api.front(self.front_arn)

    def serving(self, backends: Iterable[Backend]) -> frozenset[Backend]:
        asked = tuple(backend for backend in backends if backend.slot in self.groups)
        shares = forward.weights(self.front().actions)
        served = {
            slot: forward.served(self.api.health(self.groups[slot]))
            for slot in sorted({backend.slot for backend in asked})
            if shares.get(self.groups[slot])
        }
        return frozenset(one for one in asked if self.target(one) in served.get(one.slot, ()))

    def forward(self, actions: Iterable[Row]) -> None:
        """The site's actions, and those of what passes the maintenance page."""
        new = tuple(actions)
        self.api.forward(self.front_arn, new)
        for rule in self.own_rules(PASS):
            self.api.forward(rule["RuleArn"], new)

    def own_rules(self, *kinds: str) -> tuple[Row, ...]:
        """Those that a `close` has made, in the order in which Amazon reads them."""
        rules = [rule for rule in self.api.rules(self.front().listener) if rule["Priority"] != "default"]
        tags = self.api.tags(rule["RuleArn"] for rule in rules)
        ours = (rule for rule in rules if tags.get(rule["RuleArn"], {}).get(self.mark) in (kinds or (PAGE, PASS)))
        return tuple(sorted(ours, key=lambda rule: int(rule["Priority"])))

    @property
    def mark(self) -> str:
        return f"dojo:{self.session.inventory.scope}"

    def await_healthy(self, group: str, targets: Iterable[Target], within: float) -> None:
        """Raises BalancerError with Amazon's reasons after `within` seconds."""
        wanted = tuple(targets)

        def sick() -> str:
            state = self.api.health(group)
            found = {target: state.get(target, ("unused", "")) for target in wanted}
            return ", ".join(
                f"{name}:{port} is {' '.join(filter(None, said))}"
                for (name, port), said in found.items()
                if said[0] != "healthy"
            )

        self.until_nothing(sick, within)

    def until_nothing(self, complaint: Callable[[], str], within: float) -> None:
        """Asks until there is no complaint. Raises BalancerError with the last one."""
        clock = self.session.clock
        deadline = clock.monotonic() + within
        while said := complaint():
            if clock.monotonic() >= deadline:
                raise BalancerError(f"{self.front_arn}: after {within:g} s {said}")
            clock.sleep(POLL)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One lane at a time, and none whose run was taken over. Raises FencedError."""
        with self.session.guard(f"balancer:{self.front_arn}"):
            self._fence()
            yield

    @contextmanager
    def put_back(self, *undo: Undo) -> Iterator[list[Undo]]:
        """What was done before an error is undone, last first; what cannot be is added to the error's words."""
        undos = list(undo)
        try:
            yield undos
        except FencedError:
            raise  # what is there now is the newer run's
        except DojoError as exc:
            stuck = [text for one in reversed(undos) if (text := _failure(one))]
            if stuck:
                raise BalancerError(f"{exc.message}; not put back: {'; '.join(stuck)}", hint=exc.hint) from exc
            if isinstance(exc, (RefusedError, LostError, BalancerError, ConfigError)):
                raise
            raise BalancerError(exc.message, hint=exc.hint) from exc

    def _fence(self) -> None:
        # No compare-and-swap: it stops a run that slept through a takeover, not two that write in one second.
        store, generation = self.session.lease
        if not store:
            return
        held, _, newest = self.api.tags([self.front_arn]).get(self.front_arn, {}).get(self.mark, "").rpartition(" ")
        known = int(newest) if held == store and newest.isdigit() else -1
        if known > generation:
            raise FencedError(f"{self.front_arn}: not changed: generation {known} has taken over from {generation}")
        if known < generation:
            self.api.tag(self.front_arn, {self.mark: f"{store} {generation}"})


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _failure(undo: Undo) -> str:
    try:
        undo()
    except DojoError as exc:
        return exc.message
    return ""
