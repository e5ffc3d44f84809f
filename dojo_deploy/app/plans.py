"""Which strategy a caller means, and what it would do now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.config import load_strategy
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.runs.begin import ReleaseOf, look_and_plan, site_lanes
from dojo_deploy.runs.which import built, earlier, present
from dojo_deploy.runs.wishes import Wishes


def plan(
    inventory: Site = None,
    strategy: str | Strategy = "rolling",
    *,
    ref: str = "",
    artifact: str | Path = "",
    to: str = "",
    limit: str = "",
    back: bool = False,
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Plan:
    """What a run would do now: looks at the fleet without a lock, plans, and changes nothing.

    A deployment is built for it (the build is kept for the run itself). `back`: raises ConfigError for a strategy that
    brings no earlier release back.
    """
    with opening(inventory, bring_up=True) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        if back:
            refuse_unless_earlier(chosen)
        wishes = complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        platform = False
        if about(chosen) == "earlier":
            names = [host.name for host in session.inventory.select(limit)]
            find: ReleaseOf = lambda seen: earlier(seen, to, names)  # noqa: E731
        elif about(chosen) == "present":
            find = present
        else:
            release = built(session, trail, ref, artifact, chosen)[0]
            find = lambda _: release  # noqa: E731
            platform = bool(str(release.platform))
        with threads(site_lanes(session)) as executor:
            return look_and_plan(session, chosen, find, executor, platform=platform)[1]


def about(strategy: Strategy) -> str:
    """Which release a strategy is about: `build`, `earlier` or `present`."""
    return getattr(strategy, "release", "build")


def refuse_unless_earlier(strategy: Strategy) -> None:
    """Raises ConfigError for a strategy that brings no earlier release back."""
    if about(strategy) != "earlier":
        raise ConfigError(
            f"{type(strategy).__name__} brings no earlier release back", key="--strategy", hint="invoke rollback"
        )


def choose(
    strategy: str | Strategy, site: Inventory, *, limit: str = "", overrides: Mapping[str, str] | None = None
) -> Strategy:
    """The strategy by name, or as it is, with the run's limit. Raises ConfigError, before anything is built."""
    chosen = load_strategy(strategy, site, overrides=overrides or {}) if isinstance(strategy, str) else strategy
    for name in getattr(getattr(chosen, "gate", None), "probes", ()):
        if name not in site.probes:
            raise ConfigError(f"no probe {name!r}", key="gate.probes", hint=f"probes: {', '.join(site.probes)}")
    if not limit:
        return chosen
    if "limit" not in {item.name for item in fields(chosen)}:  # type: ignore[arg-type]
        raise ConfigError(f"{type(chosen).__name__} cannot be limited to some hosts", key="--limit")
    site.select(limit)
    return replace(chosen, limit=limit)  # type: ignore[type-var]
