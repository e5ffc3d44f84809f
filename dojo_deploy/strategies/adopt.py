"""Adopt: what runs in a checkout goes on running, as a release that can be gone back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Lane, Plan, Stage, Step
from dojo_deploy.release import LEGACY, Observed, Placement, Release
from dojo_deploy.steps import adopting, traffic
from dojo_deploy.steps.rollout import Bake, Rollout, split


@dataclass(frozen=True)
class Adopt:
    """Register everywhere, admit to the balancer, then per batch: drain → take over → gate → restore.

    `checkouts` (host -> folder there) become the release `legacy-<commit>` in place: nothing is copied, nothing is
    ever pruned. PM2's apps there are ended, host by host, and the processes of the inventory run in their place, with
    the same files, variables and port. Undone by starting the old ones again. `commit` is what every host must be at.
    `allow_gap`: also where no other host serves meanwhile.
    """

    release: ClassVar[str] = "present"

    checkouts: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    found: tuple[str, ...] = ()  # what was seen in the checkouts, for the plan's notes
    batches: tuple[int | str, ...] = (1, "50%")
    gate: Gate = Gate()
    bake: Bake = Bake(first=0.0)
    allow_gap: bool = False
    on_failure: str = "rollback"
    on_interrupt: str = "halt"

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """`release`, what runs of ours, must be none yet. Raises RefusedError for a host that has one, or for a gap."""
        lacking = [host.name for host in site.group(site.web) if host.name not in self.checkouts]
        if lacking or not self.commit:
            unseen = ", ".join(lacking) or "any host"
            raise RefusedError(f"nobody looked at the checkout of {unseen}", hint="invoke adopt --checkout /srv/app")
        made = Release(f"{LEGACY}{self.commit[:12]}", commit=self.commit)
        hosts = site.select("", slot=seen.live)
        has = [host.name for host in hosts if seen.current(host.name)]
        if has or release.id not in ("", made.id):  # the same one, when a run is gone on with
            raise RefusedError(f"{', '.join(has)} has a release already: {release.id}", hint="invoke status")
        places = tuple(Placement(host, seen.live, made.id, site.app) for host in hosts)
        rollout = Rollout(
            site,
            _as_serving(seen, made.id),
            self.gate,
            self.bake,
            (),
            places,
            change=lambda place: (adopting.take_over(place, self._checkout(place), gate=self.gate),),
        )
        register = tuple(Lane(place.host.name, (self._register(place),)) for place in places)
        admit = tuple(_admit(site, seen, places))
        forget = tuple(Lane(place.host.name, (adopting.forget(place, self._checkout(place)),)) for place in places)
        return Plan(
            "adopt",
            made,
            (
                Stage("register", register, phase="prepare"),
                *((Stage("admit", admit, phase="prepare"),) if admit else ()),
                *rollout.stages(self.batches),
                # The old ones are gone with the first of them: nothing could be given back, and nothing has to be.
                Stage("finish", forget, phase="finish", decides=False),
            ),
            slot=seen.live,
            notes=(*self.found, *self._gaps(site, places), *seen.warnings),
            on_failure=self.on_failure,
            on_interrupt=self.on_interrupt,
        )

    def _checkout(self, place: Placement) -> str:
        return self.checkouts[place.host.name]

    def _register(self, place: Placement) -> Step:
        return adopting.register(place, self._checkout(place), self.commit, gate=self.gate)

    def _gaps(self, site: Inventory, places: tuple[Placement, ...]) -> tuple[str, ...]:
        """Old processes end before ours begin, on the same port."""
        if not site.app.processes.web or (
            site.balancer.can_drain and all(len(group) < len(places) for group in split(places, self.batches))
        ):
            return ()
        gap = "nothing else serves while a host's processes are taken over: some seconds without an answer"
        if not self.allow_gap:
            raise RefusedError(gap, hint="smaller batches, one more host, or --allow-gap")
        return (gap,)


def _as_serving(seen: Observed, release: str) -> Observed:
    """As the rollout is to see it: users are on these hosts, by whatever way; from now on by ours."""
    hosts = {
        name: replace(host, current={seen.live: release}, drained=False, sick="") for name, host in seen.hosts.items()
    }
    return replace(seen, hosts=hosts)


def _admit(site: Inventory, seen: Observed, places: tuple[Placement, ...]) -> Iterator[Lane]:
    """The old processes get their requests through the balancer as it is written now; which is not taken back."""
    if not site.balancer.can_drain:
        return
    for place in places:
        if seen.hosts[place.host.name].drained:
            admitted = traffic.restore(site, place.host, place.slot)
            yield Lane(place.host.name, (replace(admitted, name="admit", undo=None),))
