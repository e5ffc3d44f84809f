"""How full a database's connections are, and how full they can get: what is there against what may be opened."""

from __future__ import annotations

from dataclasses import dataclass

from dojo_deploy.inventory import BLUE, Inventory
from dojo_deploy.tuning import Connections

FULL = 0.9  # of the limit: an alarm


@dataclass(frozen=True)
class Pressure:
    """`demand` is what the pools of one colour may open, twice as much while two colours run.

    `alarms`: what somebody has to look at now; `warnings`: what will be one some day.
    """

    seen: Connections
    demand: int
    reckoning: str
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]


def pressure(site: Inventory, seen: Connections) -> Pressure:
    """Weighs what was seen against the limit, and against what the inventory lets the application open."""
    hosts = len(site.of_slot(BLUE))
    instances = sum(process.instances for process in site.app.processes.each.values())
    pool = site.database.pool if site.database else 0
    demand = hosts * instances * pool
    reckoning = f"{hosts} hosts × {instances} processes × a pool of {pool} = {demand}"
    return Pressure(seen, demand, reckoning, tuple(_alarms(seen)), tuple(_warnings(seen, demand, reckoning)))


def _alarms(seen: Connections) -> list[str]:
    found = []
    if seen.used > FULL * seen.limit:
        found.append(f"{seen.used} of {seen.limit} connections are taken")
    if seen.leaks:
        found.append(f"{len(seen.leaks)} sessions are idle in a transaction for more than {seen.leaked_after:.0f} s")
    return found


def _warnings(seen: Connections, demand: int, reckoning: str) -> list[str]:
    found = []
    if demand > seen.limit:
        found.append(f"the pools may open more than there are: {reckoning}, of {seen.limit}")
    elif 2 * demand > seen.limit:
        found.append(f"a blue-green deployment may open more than there are: twice {reckoning}, of {seen.limit}")
    if seen.hidden:
        found.append(f"the role may not see the state of {seen.hidden} of them: GRANT pg_monitor TO it")
    return found
