"""Rollback: back to a release that lies on every host already. No build, no registry, no migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import colours, hooks, schema, services
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.rollout import Bake, Rollout, switch, unhealthy_first
from dojo_deploy.steps.workers import Workers
from dojo_deploy.strategies.switch_back import SwitchBack


@dataclass(frozen=True)
class Rollback:
    """Per batch: drain → switch → gate → restore, to the last release that passed its gates, or to `--to`.

    Faster than a deployment on purpose: everything is on the hosts, and the release has served before. Fastest, while
    blue-green's old colour stands by with that release: then the traffic is switched back, and `batches` and `bake`
    mean nothing. What is left stands by for `keep_old_for` seconds, to be looked at. `allow_contract`, with a `reason`:
    also to a release that cannot run on the schema as it is.
    """

    release: ClassVar[str] = "earlier"
    leaves_lost_hosts: ClassVar[bool] = True
    does_without_answers: ClassVar[bool] = True

    batches: tuple[int | str, ...] = (1, "100%")
    gate: Gate = Gate()
    bake: Bake = Bake(first=0.0)
    settle: float = 30.0
    keep_old_for: float = 3600.0
    workers: Workers = Workers()
    hooks: tuple[Hook, ...] = ()
    on_failure: str = "rollback"
    on_interrupt: str = "halt"
    limit: str = ""
    allow_contract: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        hooks.refuse_phases(self.hooks, ("run", "batch", "switch", "finish"))

    def asks(self, seen: Observed) -> Mapping[str, str]:
        """What is to be asked on the first host before the plan is made: name -> line."""
        return schema.questions(seen)

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError, before any change, when a host does not hold the release, or when the release cannot run
        on the schema as it is."""
        ahead = schema.refuse_older(release, seen, allowed=self.allow_contract, reason=self.reason)
        schema.refuse_newer(release, seen)
        plan = self._planned(site, release, seen)
        places = tuple(
            Placement(host, plan.slot, plan.release.id, site.app) for host in site.select(self.limit, slot=plan.slot)
        )
        return replace(
            plan,
            notes=(*ahead, *plan.notes),
            on_failure=self.on_failure,
            on_interrupt=self.on_interrupt,
            after_failure=hooks.failure_stages(self.hooks, places),
        )

    def _planned(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        if seen.standby and not self.limit:
            back = SwitchBack(self.gate, self.workers, self.hooks, self.settle, self.keep_old_for)
            seen = colours.as_live(seen, colours.live(site, seen) or seen.live)
            if back.fits(site, release, seen):
                return back.plan(site, release, seen)
        lost = [host.name for host in site.select(self.limit, slot=seen.live) if host.name not in seen.hosts]
        if lost:
            raise RefusedError(f"{', '.join(lost)} cannot be asked", hint="--limit, to go on without")
        hosts = unhealthy_first(site.select(self.limit, slot=seen.live), seen, seen.live)
        lacking = [host.name for host in hosts if release.id not in seen.hosts[host.name].releases]
        if lacking:
            raise RefusedError(
                f"{release.id} is no longer on {', '.join(lacking)}",
                hint=f"invoke deploy --ref {release.commit or release.id}",
            )
        places = tuple(Placement(host, seen.live, release.id, site.app) for host in hosts)
        rollout = Rollout(
            site,
            seen,
            self.gate,
            self.bake,
            self.hooks,
            places,
            change=lambda place: (switch(seen, place, self.gate),),
        )
        finish = tuple(Lane(place.host.name, steps) for place in places if (steps := services.save(place)))
        return Plan(
            "rollback",
            release,
            (
                *hooks.stages(self.hooks, "run", "before", places),
                *rollout.stages(self.batches),
                *hooks.stages(self.hooks, "finish", "before", places),
                *((Stage("finish", finish, phase="finish"),) if finish else ()),
                *hooks.stages(self.hooks, "finish", "after", places),
                *hooks.stages(self.hooks, "run", "after", places),
            ),
            slot=seen.live,
            notes=rollout.notes(self.batches),
        )
