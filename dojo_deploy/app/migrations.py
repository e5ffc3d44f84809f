"""The database's schema as functions: which migrations it has seen, and bringing it to what serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dojo_deploy.app import plans
from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.clock import SystemClock
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.facts import ask
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.migrations import backfile
from dojo_deploy.migrations.backfile import Reverse
from dojo_deploy.plan import Plan
from dojo_deploy.runs.begin import look_and_plan, site_lanes, start_looking
from dojo_deploy.runs.conduct import Result, conduct
from dojo_deploy.runs.which import present
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.migrated import History, history, states
from dojo_deploy.strategies.migrating import Migrating


@dataclass(frozen=True)
class Status:
    """`states`: migration -> applied, pending, failed or foreign (not of what serves).

    `source`: who said so; empty when nothing serves.
    """

    release: str
    states: Mapping[str, str]
    source: str
    trouble: str = ""


def status(inventory: Site = None, strategy: str = "rolling") -> Status:
    """What the database has seen of the migrations of the release that serves. Reads only."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        chosen = _chosen(strategy, session.inventory, None)
        seen = start_looking(session, chosen, executor, platform=False).observed()
        found: History = history(replace(seen, facts=ask(session, seen, chosen.asks)))
        return Status(present(seen).id, states(found), found.source, found.trouble)


def migrate(
    inventory: Site = None,
    strategy: str = "rolling",
    *,
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Runs the `migrate:` line of a strategy in what serves, under the lock. Raises as `app.deploy`."""
    with opening(inventory) as session:
        wishes = complete(session, wishes)
        trail = EventTrail(session.clock, wishes.subscribers)
        chosen = _chosen(strategy, session.inventory, overrides)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def plan(inventory: Site = None, strategy: str = "rolling", *, overrides: Mapping[str, str] | None = None) -> Plan:
    """What `migrate` would do. Changes nothing, and takes no lock."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        chosen = _chosen(strategy, session.inventory, overrides)
        return look_and_plan(session, chosen, present, executor, platform=False)[1]


def reverse(path: str = "", migration: str = "", *, confirmed: bool = True) -> Reverse:
    """Writes, when `confirmed`, the migration that takes back the newest of a folder, or `migration`. Touches no host.

    Raises ConfigError for a migration that is not there, RefusedError for one from which nothing leads back.
    """
    found = backfile.reverse(backfile.place(path), migration, now=SystemClock().now())
    if confirmed:
        backfile.write(found)
    return found


def _chosen(strategy: str, site: Inventory, overrides: Mapping[str, str] | None) -> Migrating:
    settings = getattr(plans.choose(strategy, site, overrides=overrides), "migrate", None)
    if not isinstance(settings, Migrate):
        raise ConfigError(f"the strategy {strategy} has no `migrate`", key="migrate", hint="migrate: {run: …}")
    return Migrating(settings)
