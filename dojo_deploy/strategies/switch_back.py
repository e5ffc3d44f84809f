"""Switch-back: the standby gets all traffic again. No build, no restart: a look, a switch, and the workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import colours, hooks, services, workers
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.workers import Workers


@dataclass(frozen=True)
class SwitchBack:
    """Look at the standby → switch → hand over workers, the other way round. What is left becomes the standby.

    Users are where they were asked to be when the switch is proven. What follows is `apart`: nobody waits for it, and
    none of it, should it fail, sends them to what was left.
    """

    gate: Gate
    workers: Workers
    hooks: tuple[Hook, ...]
    settle: float
    keep_old_for: float

    def fits(self, site: Inventory, release: Release, seen: Observed) -> bool:
        """Whether `release` is the standby, and is up on every host of its colour."""
        standby = seen.standby
        return (
            standby is not None
            and (standby.release, standby.slot) == (release.id, colours.other(seen.live))
            and colours.is_up(site, seen, standby.slot, release.id)
        )

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """`seen` with the colour that serves as its live one."""
        slot = colours.other(seen.live)
        new, old = _places(site, slot, seen), _places(site, seen.live, seen)
        stages = tuple(self._stages(site, release, seen, new, old))
        standby = colours.left(site, seen)
        lost = [one.host for one in site.backends(seen.live) if one.host not in seen.hosts]
        alone = (f"{', '.join(lost)} cannot be asked: queue workers there are not ended",) if lost else ()
        return Plan(
            "rollback",
            release,
            stages,
            slot=slot,
            notes=(*alone, *seen.warnings),
            standby=standby,
            keep_for=self.keep_old_for,
        )

    def _stages(
        self, site: Inventory, release: Release, seen: Observed, new: tuple[Placement, ...], old: tuple[Placement, ...]
    ) -> Iterator[Stage]:
        around = partial(hooks.stages, self.hooks, places=new)
        serving = colours.backends(site, seen.live, seen.serving[seen.live])
        yield from around("run", "before")
        yield Stage("look", tuple(Lane(place.host.name, (colours.look(place, self.gate),)) for place in new))
        yield from around("switch", "before")
        switched = colours.switch(site, release.id, colours.backends(site, new[0].slot), serving)
        handed = (
            *workers.hand_over(old, new, self.workers, self.gate, leaving=True),
            colours.settle(site, self.settle),
        )
        yield replace(switched, phase="switch")
        places = (*new, *colours.apart(old, new))
        saved = tuple(Lane(place.host.name, steps) for place in places if (steps := services.save(place)))
        rest = (
            *(replace(stage, phase="switch") for stage in handed),
            *around("switch", "after"),
            *around("finish", "before"),
            *((Stage("finish", saved, phase="finish"),) if saved else ()),
            *around("finish", "after"),
            *around("run", "after"),
        )
        yield from (replace(stage, apart=True) for stage in rest)


def _places(site: Inventory, slot: str, seen: Observed) -> tuple[Placement, ...]:
    """Where something lies in a colour, as far as its hosts can be asked."""
    known = [one.host for one in site.backends(slot) if one.host in seen.hosts]
    found = {host: seen.hosts[host].current.get(slot, "") for host in known}
    return tuple(Placement(site.hosts[host], slot, release, site.app) for host, release in found.items() if release)
