"""The batches of a rolling change: drain, switch, gate, restore, bake, one batch of hosts after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.plan import Gate, Lane, OnHost, Stage, Step, Target
from dojo_deploy.release import Observed, Placement
from dojo_deploy.steps import hooks as hooks_
from dojo_deploy.steps import services, traffic
from dojo_deploy.steps.hooks import Hook


@dataclass(frozen=True)
class Bake:
    """Seconds for which a gate must hold after the first batch, after each later one, and after the last."""

    first: float = 30.0
    each: float = 0.0
    last: float = 0.0


@dataclass(frozen=True)
class Rollout:
    """One rolling change of some hosts, whatever it is that changes on each."""

    site: Inventory
    seen: Observed
    gate: Gate
    bake: Bake
    hooks: tuple[Hook, ...]
    places: tuple[Placement, ...]
    change: Callable[[Placement], tuple[Step, ...]]
    prelude: Callable[[Placement], tuple[Step, ...]] = lambda _: ()

    def stages(self, serial: Sequence[int | str]) -> Iterator[Stage]:
        """A stage per batch, between its hooks."""
        groups = split(self.places, serial)
        for number, group in enumerate(groups, 1):
            seconds = self.bake.first if number == 1 else self.bake.each
            seconds += self.bake.last if number == len(groups) else 0.0
            name = f"batch {number} of {len(groups)}"
            yield from self._around("before", name, group)
            in_place = self._would_empty(group)
            lanes = tuple(self._lane(place, seconds, in_place=in_place) for place in group)
            yield Stage(name, lanes, tolerant=True, phase="batch")
            yield from self._around("after", name, group)

    def notes(self, serial: Sequence[int | str]) -> tuple[str, ...]:
        """Gaps that users may see, in words. Raises RefusedError when a batch would take every serving host away."""
        return (*self._gaps(serial), *self.seen.warnings)

    def _gaps(self, serial: Sequence[int | str]) -> tuple[str, ...]:
        if not self.serving:
            return ()
        kind = self.site.app.processes.kind
        gapless = kind is None or kind.is_gapless(self.site.app.processes)
        if not self.site.balancer.can_drain:
            return () if gapless else ("no balancer: each host serves nothing while its processes restart",)
        if not any(self._would_empty(group) for group in split(self.places, serial)):
            return ()
        if not gapless:
            raise RefusedError(
                "a batch would take every serving host out of the balancer at once",
                hint="smaller batches, one more host, or `mode: cluster`, which reloads without a gap",
            )
        return ("nothing else serves: hosts are reloaded in place, without being drained",)

    @property
    def serving(self) -> frozenset[str]:
        """Hosts of the whole group that users' requests reach now."""
        hosts = self.site.group(self.site.web)
        return frozenset(
            host.name
            for host in hosts
            if host.name in self.seen.hosts and not self.seen.hosts[host.name].drained and self.seen.current(host.name)
        )

    def _would_empty(self, group: Sequence[Placement]) -> bool:
        mine = {place.host.name for place in group}
        return bool(self.serving & mine) and not self.serving - mine

    def _lane(self, place: Placement, bake: float, *, in_place: bool) -> Lane:
        host = place.host.name
        drains = self.site.balancer.can_drain and host in self.serving and not in_place
        restores = self.site.balancer.can_drain and (drains or host not in self.serving)
        steps: list[Step] = [*self.prelude(place), *hooks_.steps(self.hooks, "before", place)]
        if drains:
            steps.append(traffic.drain(self.site, place.host, place.slot, gate=self._as_before(place)))
        steps += self.change(place)
        if restores:
            answers = self.gate.at(Target(host, place.slot, place.release, via="balancer"), probes=("health",))
            served = host in self.serving
            steps.append(traffic.restore(self.site, place.host, place.slot, gate=answers, served=served))
        if bake:
            steps.append(self._bake(place, bake))
        steps += hooks_.steps(self.hooks, "after", place)
        return Lane(host, tuple(steps))

    def _as_before(self, place: Placement) -> Gate | None:
        """What a host must show to get its requests back; one that was not well could not."""
        if not _was_well(self.seen, place):
            return None
        before = Target(place.host.name, place.slot, self.seen.current(place.host.name))
        gate = replace(self.gate, in_a_row=1, failures=self.gate.failures or self.gate.in_a_row)
        return gate.at(before, probes=("health",))

    def _bake(self, place: Placement, seconds: float) -> Step:
        """Nothing is done: the gate has to hold for so long without a break, and is lost as soon as any would be."""
        gate = holding(self.gate, seconds).at(Target(place.host.name, place.slot, place.release))
        return Step("bake", OnHost(()), gate=gate)

    def _around(self, when: str, name: str, group: Sequence[Placement]) -> Iterator[Stage]:
        for stage in hooks_.stages([hook for hook in self.hooks if hook.on != "each"], "batch", when, tuple(group)):
            yield replace(stage, name=f"{name}: {stage.name}")


def holding(gate: Gate, seconds: float) -> Gate:
    """The gate that must hold for so long without a break, and is lost as soon as any would be."""
    return replace(
        gate,
        grace=0.0,
        within=2 * seconds + gate.within,
        in_a_row=max(gate.in_a_row, math.ceil(seconds / gate.every) + 1),
        failures=gate.failures or gate.in_a_row,
    )


def split(places: Sequence[Placement], serial: Sequence[int | str]) -> tuple[tuple[Placement, ...], ...]:
    """Batches as Ansible's `serial` makes them: numbers or percents of all hosts; the last one repeats; never empty.

    A percent is rounded down, but to no less than one host; 0 means all that are left.
    Source: Ansible, "Controlling playbook execution: strategies and more", section on batch size.
    """
    sizes = [size_of(entry, len(places)) for entry in serial] or [len(places)]
    batches, rest = [], tuple(places)
    while rest:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        size = size or len(rest)
        batches.append(rest[:size])
        rest = rest[size:]
    return tuple(batches)


def size_of(entry: int | str, total: int) -> int:
    """Hosts that a number (`2`) or a percentage (`50%`) stands for. Raises ConfigError for anything else."""
    return max(1, share_of(entry, total)) if str(entry).strip().endswith("%") else share_of(entry, total)


def share_of(entry: int | str, total: int) -> int:
    """The same without the least of one host: `10%` of three is none."""
    text = str(entry).strip()
    if text.endswith("%") and text[:-1].strip().isdigit():
        return total * min(int(text[:-1]), 100) // 100
    if text.isdigit():
        return int(text)
    raise ConfigError(f"{entry!r} is no number of hosts", hint="2, or 50%")


def unhealthy_first(hosts: Sequence[Host], seen: Observed, slot: str) -> tuple[Host, ...]:
    """Hosts that serve nobody go first, then sick ones: the other way round, the roll would take down the good ones."""

    def rank(host: Host) -> tuple[bool, bool, bool]:
        found = seen.hosts[host.name]
        return not found.drained, not found.sick, found.is_healthy(slot)

    return tuple(sorted(hosts, key=rank))


def switch(seen: Observed, place: Placement, gate: Gate, *, no_way_back: bool = False) -> Step:
    """From what the host was found with to the placement's release."""
    step = services.switch(place, back_to=seen.current(place.host.name), gate=gate, was_well=_was_well(seen, place))
    return replace(step, no_way_back=no_way_back)


def _was_well(seen: Observed, place: Placement) -> bool:
    found = seen.hosts[place.host.name]
    return not found.sick and (not place.app.processes.watched or found.is_healthy(place.slot))
