"""Retire: the standby that blue-green left is stopped, once it is due and the live colour is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import colours, services


@dataclass(frozen=True)
class Retire:
    """Wait for the last old connection → stop the standby. From then on a `rollback` starts what it goes back to.

    `settle`: seconds for these connections; one that goes on, such as a websocket, is told, and ends with the standby.
    `until`: the date of the standby that is meant, so that one which replaced it meanwhile is let
    alone; empty: whatever stands by.
    """

    release: ClassVar[str] = "present"

    settle: float = 60.0
    until: str = ""

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError when there is no such standby, or the live colour is not well."""
        standby = seen.standby
        if standby is None:
            raise RefusedError("nothing stands by", hint="invoke status")
        if self.until and self.until != standby.until:
            raise RefusedError("another run has changed the standby meanwhile", hint="invoke status")
        if colours.live(site, seen) in ("", standby.slot):
            raise RefusedError(f"{standby.slot} is kept as a standby, but it is what serves", hint="invoke status")
        unwell = [f"{name}: {why}" for name, why in _unwell(site, seen)]
        if unwell:
            raise RefusedError(
                f"{standby.release} in {standby.slot} stays, as {seen.live}, which serves, is not well: "
                + "; ".join(unwell),
                hint="invoke rollback   switches back to it",
            )
        places = [
            Placement(site.hosts[one.host], standby.slot, standby.release, site.app)
            for one in site.backends(standby.slot)
        ]
        return Plan(
            "retire",
            release,
            (
                colours.leave(site, self.settle, needed=True),
                Stage(
                    "retire", tuple(Lane(one.host.name, (colours.retire(one), *services.save(one))) for one in places)
                ),
            ),
            slot=seen.live,
            retires=standby.slot,
        )


def _unwell(site: Inventory, seen: Observed) -> list[tuple[str, str]]:
    """Hosts of the live colour that could not do without the other one, and why."""
    found = []
    for backend in site.backends(seen.live):
        host = seen.hosts[backend.host]
        if host.drained:
            found.append((backend.host, "out of the balancer"))
        elif host.sick or (site.app.processes.watched and not host.is_healthy(seen.live)):
            found.append((backend.host, host.sick or "its processes do not run what its link names"))
    return found
