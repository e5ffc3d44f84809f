"""What the small fleet of rig.py is made of: a balancer, a probe, and a strategy that rolls over its hosts."""

# ruff: noqa: ARG002 - the protocols name the arguments
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.command import Command
from dojo_deploy.errors import BalancerError
from dojo_deploy.interfaces import Backend, Reading, Session
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.plan import Gate, Lane, OnHost, Plan, Stage, Step, Target
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import services
from dojo_deploy.steps.hooks import OnController

OLD, NEW = Release("v1", commit="c1"), Release("v2", commit="c2")
GATE = Gate(probes=("well",), every=0.01, grace=0.0, within=20.0, in_a_row=1)
STEPS = ("drain", "count", "switch", "gate", "restore")


@dataclass(frozen=True)
class Doors(NoBalancer):
    """A balancer: a host is drained when its name lies in `folder`. `fault-VERB-HOST` there fails a change."""

    folder: str
    can_drain = True

    def drained(self, session: Session, backends: tuple[Backend, ...]) -> frozenset[str]:
        return frozenset(one.host for one in backends if (Path(self.folder) / one.host).exists())

    def drain(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        Door("drain", backend.host, self.folder).run(session)

    def restore(self, session: Session, backend: Backend, pool: tuple[Backend, ...]) -> None:
        Door("restore", backend.host, self.folder).run(session)

    def preview(self, verb: str, backend: Backend) -> tuple[str, ...]:
        return (f"{verb} {backend.host}",)

    def warnings(self, session: Session) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Well:
    """A probe: the host is well unless it was told to be sick of the new release."""

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        sick = target.release == NEW.id and (Path(session.inventory.hosts[target.host].root) / "sick").exists()
        return Reading(not sick, "sick" if sick else "well")


@dataclass(frozen=True)
class Door:
    """One change of the balancer. `may_fail`: where a fault is laid for it."""

    verb: str
    host: str
    folder: str
    may_fail: bool = False

    def preview(self) -> tuple[str, ...]:
        return (f"{self.verb} {self.host}",)

    def run(self, session: Session) -> None:
        folder = Path(self.folder)
        with (folder / "log").open("a") as log:
            log.write(f"{self.verb} {self.host}\n")
        if (folder / f"bug-{self.verb}-{self.host}").exists():
            raise ZeroDivisionError("a bug of ours")
        if self.may_fail and (folder / f"fault-{self.verb}-{self.host}").exists():
            raise BalancerError(f"{self.verb} refused")
        if self.verb == "drain":
            (folder / self.host).touch()
        else:
            (folder / self.host).unlink(missing_ok=True)


@dataclass(frozen=True)
class Tiny:
    """A rolling change of the smallest kind: a hook, a migration, and each host in a batch of its own."""

    max_failures: int = 0
    on_failure: str = "rollback"
    limit: str = ""
    hook: str = "echo x >> hook"
    size: int = 1  # of a batch
    called: str = "rolling"
    contract: str = ""  # why the migration has no way back

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        folder = site.balancer.folder  # type: ignore[attr-defined]
        places = [Placement(host, seen.live, release.id, site.app) for host in site.select(self.limit)]
        hook = OnController(Command.shell(self.hook, cwd=folder), 20.0, idempotent=False)
        first = places[0].host
        lanes = [_lane(folder, place, seen.current(place.host.name), bool(self.contract)) for place in places]
        migrate = replace(_counted(first, "migrated"), point_of_no_return=bool(self.contract), harmless=(77,))
        batches = [tuple(lanes[at : at + self.size]) for at in range(0, len(lanes), self.size)]
        return Plan(
            self.called,
            release,
            (
                Stage("hook", (Lane("controller", (Step("hook", hook, once=True),)),)),
                Stage("migrate", (Lane(first.name, (migrate,)),), phase="migrate"),
                *(
                    Stage(f"batch {number}", batch, tolerant=True, phase="batch")
                    for number, batch in enumerate(batches, 1)
                ),
            ),
            slot=seen.live,
            max_failures=self.max_failures,
            on_failure=self.on_failure,
            contract=self.contract,
        )


def _lane(folder: str, place: Placement, old: str, no_way_back: bool) -> Lane:
    host = place.host
    switch = services.switch(place, back_to=old, gate=GATE)
    assert switch.undo and isinstance(switch.action, OnHost) and isinstance(switch.undo.action, OnHost)
    back = replace(switch.undo, action=OnHost((*switch.undo.action.commands, _fault(host, "back"))))
    switch = replace(switch, action=OnHost((*switch.action.commands, _fault(host, "switch"))), undo=back)
    switch = replace(switch, no_way_back=no_way_back)
    out, back_in = Door("drain", host.name, folder), Door("restore", host.name, folder)
    return Lane(
        host.name,
        (
            Step("drain", replace(out, may_fail=True), undo=Step("restore", back_in, brings_traffic=True)),
            _counted(host, "count"),
            switch,
            Step("restore", replace(back_in, may_fail=True), undo=Step("drain", out)),
        ),
    )


def _counted(host: Host, name: str) -> Step:
    commands = (Command.shell(f"echo x >> {host.root}/{name}"), _fault(host, name))
    return Step(name, OnHost(commands, idempotent=False), once=name == "migrated")


def _fault(host: Host, name: str) -> Command:
    """Its exit status stands in the file, or is 1."""
    file = f"{host.root}/fault-{name}"
    return Command.shell(f"[ ! -e {file} ] || exit $(grep . {file} || echo 1)")
