"""The runbook of one site, written from the plans that its inventory makes. No host is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dojo_deploy.app.plans import about, choose
from dojo_deploy.app.sites import Site, read
from dojo_deploy.command import quote
from dojo_deploy.errors import DojoError, RefusedError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import BLUE, GREEN, Inventory
from dojo_deploy.naming import name_of
from dojo_deploy.plan import Plan
from dojo_deploy.release import HostSeen, Known, Observed, Release
from dojo_deploy.runbooks.page import Procedure, page
from dojo_deploy.runbooks.procedures import procedures
from dojo_deploy.strategies.migrating import Migrating
from dojo_deploy.strategies.restore import Found, Names

SERVING, EARLIER, NEW = "SERVING", "LAST-GOOD", "NEW"
SHA = "0" * 64
ONLY_RUNS_KNOW: Mapping[str, Mapping[str, Any]] = {
    "maintenance": {"window": "WINDOW"},
    "restore": {
        "found": Found(backup="BACKUP", sha256=SHA),
        "names": Names("DATABASE_restore", "DATABASE_old", "SAFETY", "IN-7-DAYS", "YOU"),
    },
}


def render(inventory: Site = None) -> str:
    """The runbook in Markdown: what each procedure would do to a fleet in good health.

    `NEW`, `SERVING` and `LAST-GOOD` stand for releases. Raises ConfigError.
    """
    site = read(inventory)
    name = name_of(site.path) or site.scope
    return page(site.scope, _head(site, name), (_planned(site, one) for one in procedures(quote(name))))


def _head(site: Inventory, name: str) -> tuple[str, ...]:
    on = f"-i {quote(name)}"
    hosts = ", ".join(host.name for host in site.group(site.web))
    return (
        f"Written by `dojo runbook.render {on}` from inventory and strategies; write it anew when they change.",
        "It is what the commands do, for whoever has to understand, decide, or go on without them.",
        "",
        f"Hosts: {hosts}. Application: {site.app.name} ({site.app.environment}).",
        "",
        "First of all, whatever happened:",
        "",
        "```console",
        f"$ dojo status {on}   # which release answers on each host and through the balancer; which run is open",
        f"$ dojo history {on}  # who did what, and how it ended",
        "```",
    )


def _planned(site: Inventory, one: Procedure) -> Procedure:
    if one.title in ("Backup", "Restore") and site.database is None:
        return replace(one, impossible="the inventory has no `database:`")
    try:
        strategy = _strategy(site, one.strategy)
        return replace(one, plan=_plan(site, strategy, ONLY_RUNS_KNOW.get(one.strategy, {}))) if strategy else one
    except DojoError as exc:
        return replace(one, impossible=exc.message)


def _strategy(site: Inventory, name: str) -> Strategy | None:
    """Raises RefusedError where the site has none of that name."""
    if name != "migrate":
        return choose(name, site) if name else None
    migrate = getattr(choose("rolling", site), "migrate", None)
    if migrate is None:
        raise RefusedError("no strategy has a `migrate:`")
    return Migrating(migrate)


def _plan(site: Inventory, strategy: Strategy, known: Mapping[str, Any]) -> Plan:
    strategy = replace(strategy, **known)  # type: ignore[type-var]
    names = tuple(host.name for host in site.select("", slot=BLUE))
    each = site.app.processes.each
    running = {f"{BLUE}/{process}": (SERVING,) * max(1, each[process].instances) for process in each}
    hosts = {
        host.name: HostSeen(
            host.name,
            current={BLUE: SERVING} if host.name in names else {},
            running=running if host.name in names else {},
            releases=(SERVING, EARLIER),
            sha256={SERVING: SHA, EARLIER: SHA},
            free=10**12,
            drained=host.name not in names,
        )
        for host in site.group(site.web)
    }
    record = (Known(EARLIER, passed="2026-01-01T00:00:00Z"), Known(SERVING, passed="2026-02-01T00:00:00Z"))
    seen = Observed(hosts, record, serving={BLUE: names, GREEN: ()})
    asks: Any = getattr(strategy, "asks", {})
    seen = replace(seen, facts=dict.fromkeys(asks(seen) if callable(asks) else asks, ""))
    release = {"build": NEW, "earlier": EARLIER, "present": SERVING}[about(strategy)]
    return strategy.plan(site, Release(release), seen)
