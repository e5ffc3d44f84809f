"""Restart: the same release once more, batch by batch; what `pm2 restart all` would do to everyone at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Plan
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import services
from dojo_deploy.steps.rollout import Bake, Rollout, unhealthy_first


@dataclass(frozen=True)
class Restart:
    """Per batch: drain → restart → gate → restore. Each host keeps the release that it has."""

    release: ClassVar[str] = "present"

    batches: tuple[int | str, ...] = (1, "50%")
    gate: Gate = Gate()
    bake: Bake = Bake(first=0.0)
    limit: str = ""

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """`release` is only a name here. Raises RefusedError for a host that has nothing to restart."""
        hosts = unhealthy_first(site.select(self.limit, slot=seen.live), seen, seen.live)
        bare = [host.name for host in hosts if not seen.current(host.name)]
        if bare:
            raise RefusedError(f"nothing is deployed on {', '.join(bare)}", hint="invoke deploy")
        places = tuple(Placement(host, seen.live, seen.current(host.name), site.app) for host in hosts)
        rollout = Rollout(
            site,
            seen,
            self.gate,
            self.bake,
            (),
            places,
            change=lambda place: (services.restart(place, gate=self.gate),),
        )
        return Plan(
            "restart", release, tuple(rollout.stages(self.batches)), slot=seen.live, notes=rollout.notes(self.batches)
        )
