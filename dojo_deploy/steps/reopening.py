"""The end of a window: verified, ready, workers on, page off, watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory, Page
from dojo_deploy.plan import CONTROLLER, Gate, Lane, OnHost, Stage, Step, Target
from dojo_deploy.release import Observed, Placement
from dojo_deploy.steps import windows, work, workers
from dojo_deploy.steps.maintenance import Close, Open, with_health
from dojo_deploy.steps.rollout import holding
from dojo_deploy.steps.work import Check
from dojo_deploy.steps.workers import Workers


@dataclass(frozen=True)
class Reopening:
    """How a site comes back. Whatever fails before its page is down leaves it up; after that, down."""

    site: Inventory
    seen: Observed
    places: tuple[Placement, ...]
    page: Page
    workers: Workers
    gate: Gate
    window: str

    def stages(self, verify: tuple[Check, ...], *, watch: float, outcome: str, closed: bool = True) -> Iterator[Stage]:
        """`watch`: seconds; 0: not at all. `outcome` of the window: done or aborted. Not `closed`: it is open again."""
        yield from work.checks(verify, self.site, self.seen, self.places)
        if closed:
            yield windows.verified(self.window)
            came_back = (self._ready(), workers.begin(self.places, self.workers, self.gate), self._open())
            yield from (replace(stage, phase="work") for stage in came_back)
            yield windows.reopened(self.window)
        if watch:
            yield self._watch(watch)
        yield windows.over(self.window, outcome)

    def _ready(self) -> Stage:
        """Nothing is done: what listens on each host has to be well before anybody is sent there."""
        listening = self.site.app.processes.listening
        lanes = []
        for place in self.places:
            aim = Target(place.host.name, place.slot, place.release, only=listening)
            lanes.append(Lane(place.host.name, (Step("ready", OnHost(()), gate=self.gate.at(aim)),)))
        return Stage("ready", tuple(lanes))

    def _open(self) -> Stage:
        again = Step("close", Close(self.site.balancer, with_health(self.site, self.page)))
        step = Step("open", Open(self.site.balancer), gate=self._as_users(self.gate), undo=again)
        return Stage("open", (Lane(CONTROLLER, (step,)),))

    def _watch(self, seconds: float) -> Stage:
        gate = holding(self.gate, seconds)
        aims = {place.host.name: Target(place.host.name, place.slot, place.release) for place in self.places}
        lanes = [Lane(host, (Step("watch", OnHost(()), gate=gate.at(aim)),)) for host, aim in aims.items()]
        users = Lane(CONTROLLER, (Step("watch", OnHost(()), gate=self._as_users(gate)),))
        return Stage("watch", (*lanes, users), phase="watch")

    def _as_users(self, gate: Gate) -> Gate:
        first = self.places[0]
        return gate.at(Target(first.host.name, first.slot, first.release, via="balancer"), probes=("health",))


def served(site: Inventory, seen: Observed) -> tuple[Placement, ...]:
    """What serves, host by host. Raises RefusedError where nothing does."""
    found = [(host, seen.current(host.name)) for host in site.select(slot=seen.live)]
    if not all(release for _, release in found):
        bare = ", ".join(host.name for host, release in found if not release)
        raise RefusedError(f"nothing is deployed on {bare}", hint="invoke deploy")
    return tuple(Placement(host, seen.live, release, site.app) for host, release in found)
