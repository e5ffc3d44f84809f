"""Two colours, of which one serves: which it is, what runs in the other, and sending traffic from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy.errors import BalancerError, GateFailedError, RefusedError, TransportError, UnsettledError
from dojo_deploy.interfaces import Backend, Balancer
from dojo_deploy.inventory import BLUE, GREEN, Inventory
from dojo_deploy.plan import CONTROLLER, Gate, Lane, OnHost, Stage, Step, Target
from dojo_deploy.release import Observed, Placement, Standby
from dojo_deploy.steps import services

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

SAMPLES = 10  # fresh connections, at least
STAY = "the other colour goes on answering these until it is retired"
END = "they end with it"


@dataclass(frozen=True)
class Settle:
    """Until no kept-alive connection can reach what a switch took away; what has not ended by then is told.

    `needed`: what waits for it ends what it takes away, and must not where nobody could be asked.
    """

    balancer: Balancer
    within: float
    needed: bool = False
    then: str = STAY

    def preview(self) -> tuple[str, ...]:
        return (f"until no older connection reaches the other colour, at most {self.within:g} s",)

    def run(self, session: Session) -> None:
        try:
            self.balancer.settle(session, self.within)
        except (BalancerError, TransportError) as exc:
            if self.needed and not isinstance(exc, UnsettledError):
                raise
            session.say(f"{exc.message}; {self.then}")


@dataclass(frozen=True)
class Switch:
    """All traffic to one colour; the balancer proves that it did. `settle`: for what is stopped after it."""

    balancer: Balancer
    to: tuple[Backend, ...]
    away: tuple[Backend, ...]
    settle: Settle | None = None

    def preview(self) -> tuple[str, ...]:
        return (*self.balancer.preview("switch", *self.to), *(self.settle.preview() if self.settle else ()))

    def run(self, session: Session) -> None:
        self.balancer.switch(session, self.to, self.away)
        if self.settle:
            self.settle.run(session)


@dataclass(frozen=True)
class Identity:
    """Asks as users do, and takes no answer of anybody else."""

    balancer: Balancer
    to: tuple[Backend, ...]
    release: str

    @property
    def samples(self) -> int:
        return max(SAMPLES, 3 * len(self.to))

    def preview(self) -> tuple[str, ...]:
        addresses = ", ".join(backend.address for backend in self.to)
        return (
            f"{self.samples} fresh connections through the balancer: each answered by {self.release} at {addresses}",
        )

    def run(self, session: Session) -> None:
        """Raises GateFailedError at the first answer of another release or address, and at the first bad one."""
        addresses = {backend.address for backend in self.to}
        path = session.inventory.app.health
        for number in range(1, self.samples + 1):
            answer = self.balancer.answer(session, path)
            if answer is None:
                return
            wrong = [] if 200 <= answer.status < 300 else [f"status {answer.status}"]
            wrong += [f"from {answer.upstream}"] if answer.upstream and answer.upstream not in addresses else []
            wrong += [f"by release {answer.release}"] if answer.release and answer.release != self.release else []
            if wrong:
                raise GateFailedError(
                    f"through the balancer, {path} number {number} of {self.samples} was answered {', '.join(wrong)}; "
                    f"wanted {self.release} from {', '.join(sorted(addresses))}"
                )
        session.say(f"{self.samples} of {self.samples} answered by {self.release}")


def other(slot: str) -> str:
    return GREEN if slot == BLUE else BLUE


def live(site: Inventory, seen: Observed, *, said: str = "") -> str:
    """The colour that serves, by the balancer and by the record; empty when nothing is deployed and nothing serves.

    `said`: which one the operator says it is. Raises RefusedError when these disagree.
    """
    if not site.balancer.can_switch or not site.app.processes.web:
        raise RefusedError(
            "two colours need a balancer that can switch between them, and a process with a port",
            hint="invoke deploy   rolls over the hosts instead",
        )
    found = {slot: hosts for slot, hosts in seen.serving.items() if hosts}
    deployed = [host for host in seen.hosts if seen.current(host)]
    if not found and not deployed:
        return ""
    if list(found) == [said or seen.live]:
        return said or seen.live
    balancer = " and ".join(f"{slot} ({', '.join(hosts)})" for slot, hosts in found.items()) or "nobody"
    named = f"you say {said}" if said else f"by the record {seen.live} serves"
    raise RefusedError(
        f"{named}, but the balancer sends requests to {balancer}",
        hint=f"invoke deploy --strategy blue-green --set live={next(iter(found))}   if the balancer is right; "
        f"invoke deploy   brings {seen.live} into service"
        if len(found) == 1
        else f"invoke deploy   brings {seen.live} into service on every host",
    )


def as_live(seen: Observed, slot: str) -> Observed:
    """What was found, with `slot` as the one that serves."""
    sent = seen.serving.get(slot, ())
    hosts = {name: replace(found, drained=name not in sent) for name, found in seen.hosts.items()}
    return replace(seen, live=slot, hosts=hosts)


def left(site: Inventory, seen: Observed) -> Standby:
    """What stays behind; without a release where hosts had different ones, as nothing can go back to that."""
    found = {seen.current(one.host) for one in site.backends(seen.live) if one.host in seen.hosts}
    if not found:  # all are lost: the record's word
        newest = seen.last_good(other_than="")
        return Standby(seen.live, newest.id if newest else "")
    return Standby(seen.live, found.pop() if len(found) == 1 else "")


def backends(site: Inventory, slot: str, hosts: Sequence[str] | None = None) -> tuple[Backend, ...]:
    """The web processes of a colour, on some hosts or on all of it."""
    return tuple(backend for backend in site.backends(slot) if hosts is None or backend.host in hosts)


def apart(old: Sequence[Placement], new: Sequence[Placement]) -> tuple[Placement, ...]:
    """Those of `old` on hosts of their own, where colours are groups: nothing of `new` saves what runs there."""
    hosts = {place.host.name for place in new}
    return tuple(place for place in old if place.host.name not in hosts)


def is_up(site: Inventory, seen: Observed, slot: str, release: str) -> bool:
    """Whether a colour could serve at once: every host of it links the release, and what listens there runs it."""
    processes = site.app.processes
    for backend in site.backends(slot):
        found = seen.hosts.get(backend.host)
        if found is None or found.current.get(slot) != release:
            return False
        for name in processes.listening:
            if name in processes.watched and not processes.watched[name].running:
                runs = found.running.get(f"{slot}/{name}", ())
                if set(runs) != {release} or len(runs) < processes.each[name].instances:
                    return False
    return True


def idle(place: Placement) -> Placement:
    """What of a colour may run beside the one that serves: all that listens, its workers paused."""
    return replace(place, only=place.app.processes.listening, workers="paused")


def start(place: Placement, seen: Observed, gate: Gate) -> Step:
    """The idle colour at its own address; undone to what was there before, which nobody is served by either."""
    before = seen.hosts[place.host.name].current.get(place.slot, "")
    quiet, workers = idle(place), place.app.processes.workers
    commands = (
        *(services.stop(replace(place, only=workers)) if workers else ()),
        services.link(place),
        *services.start(quiet),
    )
    if before:
        old = replace(quiet, release=before)
        undo = Step("bring back standby", OnHost((services.link(old), *services.start(old), *services.saved(old))))
    else:
        undo = Step("stop", OnHost((*services.stop(place), services.unlink(place), *services.saved(place))))
    patience = services.patience(place)
    aimed = gate.at(Target(place.host.name, place.slot, place.release, only=quiet.only))
    return Step("start", OnHost(commands), gate=aimed, undo=replace(undo, deadline=patience), deadline=patience)


def look(place: Placement, gate: Gate) -> Step:
    """One look at a colour that is up: nothing is done, and what is wrong with it is found before it serves."""
    target = Target(place.host.name, place.slot, place.release, only=idle(place).only)
    return Step("look", OnHost(()), gate=replace(gate, in_a_row=1, grace=0.0, target=target))


def switch(
    site: Inventory,
    release: str,
    to: tuple[Backend, ...],
    away: tuple[Backend, ...],
    *,
    settle: float = 0.0,
    no_way_back: bool = False,
) -> Stage:
    """Traffic to another colour, proven by who answers. Undone before anything else is, unless `no_way_back`.

    `settle`: seconds that connections to what is undone have to end before it is stopped; 0: it is not.
    """
    ends = Settle(site.balancer, settle, then=END) if settle else None
    back = Step("switch back", Switch(site.balancer, away, to, ends), brings_traffic=True)
    there = Step("switch", Switch(site.balancer, to, away), undo=back, no_way_back=no_way_back)
    proven = Step("identity", Identity(site.balancer, to, release))
    return Stage("switch", (Lane(CONTROLLER, (there, proven)),), undone_first=True)


def settle(site: Inventory, within: float) -> Stage:
    """Older connections end, or are told: what answers them stays."""
    return _settling("settle", Settle(site.balancer, within))


def leave(site: Inventory, within: float, *, needed: bool = False) -> Stage:
    """The same before what answers them is ended, and what is left of them with it."""
    return _settling("leave standby", Settle(site.balancer, within, needed=needed, then=END))


def _settling(name: str, action: Settle) -> Stage:
    return Stage(name, (Lane(CONTROLLER, (Step("settle", action),)),))


def retire(place: Placement) -> Step:
    """A colour that serves nobody is stopped; its release stays on the host, as any other."""
    commands = (*services.stop(place), services.unlink(place))
    return Step("retire", OnHost(commands), deadline=services.patience(place))
