"""Blue-green: the new release comes up beside the old one, is tried there, and gets all traffic at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import BLUE, GREEN, Backend, Inventory
from dojo_deploy.plan import CONTROLLER, Gate, Lane, OnHost, Plan, Stage, Step, Target
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import bringing, colours, database, hooks, judged, services, smoke, traffic, workers
from dojo_deploy.steps.connections import FACT, Connections, refuse_too_many
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.rollout import holding
from dojo_deploy.steps.smoke import Smoke
from dojo_deploy.steps.workers import Workers

PHASES = ("run", "prepare", "migrate", "switch", "finish")


@dataclass(frozen=True)
class BlueGreen:
    """Stage → migrate once → start the idle colour, workers paused → smoke → switch → hand over workers → watch.

    Nothing before the switch touches what serves, and a failure after it sends the traffic back first. The old colour
    stays up for `keep_old_for` seconds: until `retire` stops it, `rollback` goes back to it by a switch alone. So the
    migration must suit both releases. `watch`: seconds for which the gate must hold once users are on the new one.
    `live`: the colour that serves, said by you where the balancer and the record disagree.
    """

    release: ClassVar[str] = "build"

    migrate: Migrate | None = None
    gate: Gate = Gate()
    smoke: tuple[Smoke, ...] = ()
    watch: float = 30.0
    settle: float = 30.0
    keep_old_for: float = 86400.0
    workers: Workers = Workers()
    connections: Connections = Connections()
    hooks: tuple[Hook, ...] = ()
    on_failure: str = "rollback"
    on_interrupt: str = "halt"
    live: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("on_failure", ("rollback", "halt")),
            ("on_interrupt", ("halt", "rollback")),
            ("live", ("", BLUE, GREEN)),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{getattr(self, name)!r} is not possible", key=name, hint=" or ".join(allowed))
        hooks.refuse_phases(self.hooks, PHASES)

    @property
    def asks(self) -> Mapping[str, str]:
        """What is to be asked on the first host before the plan is made: name -> line."""
        connections = {FACT: self.connections.ask} if self.connections.ask else {}
        return {**connections, **database.questions(self.migrate)}

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError: who serves is not certain, a host cannot take it, or there are too few connections."""
        live = colours.live(site, seen, said=self.live)
        seen = colours.as_live(seen, live) if live else seen
        slot = colours.other(live) if live else seen.live
        new = self._places(site, slot, release.id)
        bringing.refuse_unfit(new, release, seen)
        verdict = judged.judge(self.migrate, site, release, seen)
        if live:
            sizes = {colour: len(site.backends(colour)) for colour in (BLUE, GREEN)}
            refuse_too_many(self.connections, site, seen, sizes)
        return Plan(
            "blue-green",
            release,
            tuple(self._stages(site, release, seen, new, live, bool(verdict.contract))),
            slot=slot,
            notes=(*_gives_up(seen, slot), *seen.warnings, *verdict.notes),
            on_failure=self.on_failure,
            on_interrupt=self.on_interrupt,
            after_failure=hooks.failure_stages(self.hooks, new),
            standby=colours.left(site, seen) if live else None,
            keep_for=self.keep_old_for if live else 0.0,
            contract=verdict.contract,
        )

    def _stages(
        self,
        site: Inventory,
        release: Release,
        seen: Observed,
        new: tuple[Placement, ...],
        live: str,
        no_way_back: bool,
    ) -> Iterator[Stage]:
        serving = colours.backends(site, live, seen.serving.get(live, ())) if live else ()
        old = tuple(
            replace(place, release=seen.hosts[place.host.name].current[live])
            for place in (self._places(site, live, "") if live else ())
            if seen.hosts[place.host.name].current.get(live)
        )
        slot = new[0].slot
        around = partial(hooks.stages, self.hooks, places=new)
        yield from (*around("run", "before"), *around("prepare", "before"))
        yield _each("prepare", new, lambda place: (bringing.bring(place, release, seen),))
        yield from (*around("prepare", "after"), *around("migrate", "before"))
        if self.migrate:
            yield Stage(
                "migrate", (Lane(new[0].host.name, (database.migrate(new[0], self.migrate),)),), phase="migrate"
            )
        yield from around("migrate", "after")
        if any(seen.hosts[place.host.name].current.get(slot) for place in new) and live:
            yield colours.leave(site, self.settle)
        yield _each("start", new, lambda place: (colours.start(place, seen, self.gate),))
        yield from smoke.stages(self.smoke, site, new, serving)
        yield from around("switch", "before")
        switched = (
            *self._switched(site, release, new, serving, no_way_back),
            *workers.hand_over(old, new, self.workers, self.gate),
            *((colours.settle(site, self.settle),) if live else ()),
            *((self._watch(new),) if self.watch else ()),
        )
        yield from (replace(stage, phase="switch") for stage in switched)
        yield from (*around("switch", "after"), *around("finish", "before"))
        yield _each(
            "finish",
            (*new, *colours.apart(old, new)),
            lambda place: services.save(place) if place.slot == live else bringing.finish(place, release, seen),
        )
        yield from (*around("finish", "after"), *around("run", "after"))

    def _switched(
        self,
        site: Inventory,
        release: Release,
        new: tuple[Placement, ...],
        serving: tuple[Backend, ...],
        no_way_back: bool,
    ) -> Iterator[Stage]:
        slot = new[0].slot
        if serving:
            to = colours.backends(site, slot)
            yield colours.switch(site, release.id, to, serving, settle=self.settle, no_way_back=no_way_back)
            return
        lanes = []
        for place in new:
            answers = self.gate.at(Target(place.host.name, slot, release.id, via="balancer"), probes=("health",))
            lanes.append(Lane(place.host.name, (traffic.restore(site, place.host, slot, gate=answers, served=False),)))
        yield Stage("restore", tuple(lanes))

    def _watch(self, new: tuple[Placement, ...]) -> Stage:
        """Nothing is done: straight at each host, and as users see it, the gate has to go on holding."""
        gate = holding(self.gate, self.watch)
        aims = {place.host.name: Target(place.host.name, place.slot, place.release) for place in new}
        lanes = [Lane(host, (Step("watch", OnHost(()), gate=gate.at(aim)),)) for host, aim in aims.items()]
        seen = replace(aims[new[0].host.name], via="balancer")
        users = Step("watch", OnHost(()), gate=gate.at(seen, probes=("health",)))
        return Stage("watch", (*lanes, Lane(CONTROLLER, (users,))))

    def _places(self, site: Inventory, slot: str, release: str) -> tuple[Placement, ...]:
        return tuple(Placement(site.hosts[one.host], slot, release, site.app) for one in site.backends(slot))


def _each(name: str, places: tuple[Placement, ...], steps: Callable[[Placement], tuple[Step, ...]]) -> Stage:
    lanes = [Lane(place.host.name, steps(place)) for place in places]
    return Stage(name, tuple(lane for lane in lanes if lane.steps), phase=name if name in PHASES else "run")


def _gives_up(seen: Observed, slot: str) -> tuple[str, ...]:
    if not seen.standby or seen.standby.slot != slot or not seen.standby.release:
        return ()
    return (
        f"gives up the switch-back to {seen.standby.release}, the standby in {slot} until {seen.standby.until}, and "
        f"what is still connected to it: afterwards `rollback` switches back to {seen.live}",
    )
