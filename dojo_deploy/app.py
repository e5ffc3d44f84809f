"""What the program can do, as functions: the tasks and `from dojo_deploy import …` both end here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dojo_deploy.clock import utc
from dojo_deploy.conduct import ReleaseOf, Result, Wishes, conduct, go_on, look_and_plan, site_lanes
from dojo_deploy.config import find_inventory, load_inventory, load_strategy
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.census import take_census
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.history import runs
from dojo_deploy.engine.partial import meant, told_apart
from dojo_deploy.engine.record import Record
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError
from dojo_deploy.events import CensusTaken
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.release import Known
from dojo_deploy.reports import Report, report_of
from dojo_deploy.session import OpenSession, opened, redactor
from dojo_deploy.which import built, due, earlier, present

Site = Inventory | str | Path | None


def deploy(
    inventory: Site = None,
    strategy: str | Strategy = "rolling",
    *,
    ref: str = "",
    artifact: str | Path = "",
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Builds `ref` (or takes `artifact`) and brings it into service.

    Raises:
        ConfigError: something is written wrong (2). RefusedError: nothing was changed, and why (10).
        LockedError: another run holds the lock (11). OpenRunError: an earlier run never ended (10).
    """
    with _opened(inventory, bring_up=True) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        if about(chosen) != "build":
            raise ConfigError(f"{type(chosen).__name__} builds nothing", hint=f"invoke {strategy}")
        wishes = _complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        if artifact:  # a build may take longer than anybody keeps an idle connection
            session.warm(host.name for host in session.inventory.select(limit))
        release, path = built(session, trail, ref, artifact, chosen)
        return conduct(
            session,
            chosen,
            lambda _: release,
            wishes,
            trail,
            artifact=path,
            platform=bool(str(release.platform)),
        )


def rollback(
    inventory: Site = None,
    strategy: str | Strategy = "rollback",
    *,
    to: str = "",
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Brings an earlier release back: `to` (id, commit or ref), or the last one that passed its gates.

    What is left is marked bad in the record. Raises as `deploy`; RefusedError when there is nothing to go back to.
    """
    with _opened(inventory) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        wishes = _complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        names = [host.name for host in session.inventory.select(limit)]
        find: ReleaseOf = lambda seen: earlier(seen, to, names)  # noqa: E731
        return conduct(session, chosen, find, wishes, trail, artifact=None, platform=False)


def restart(
    inventory: Site = None,
    *,
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Restarts what runs, batch by batch. Raises as `deploy`."""
    with _opened(inventory) as session:
        chosen = choose("restart", session.inventory, limit=limit, overrides=overrides)
        wishes = _complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def retire(inventory: Site = None, *, now: bool = False, wishes: Wishes | None = None) -> Result:
    """Stops the colour that blue-green left standing by, when it is due, or `now`. Nothing due: nothing is done.

    Raises as `deploy`; RefusedError while the live colour is not well.
    """
    with _opened(inventory) as session:
        standby, reason = due(ledger.read_record(session.store), utc(session.clock.now()), early=now)
        if standby is None:
            return Result("", "nothing to do", reason=reason)
        chosen = choose("retire", session.inventory, overrides={"until": standby.until})
        wishes = _complete(session, wishes, "")
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def resume(inventory: Site = None, *, wishes: Wishes | None = None) -> Result:
    """Goes on with the run that never ended, from this or any other machine. Nothing open: nothing is done."""
    with _opened(inventory) as session:
        return go_on(session, _complete(session, wishes, ""), abort=False)


def abort(inventory: Site = None, *, wishes: Wishes | None = None) -> Result:
    """Undoes the run that never ended, from this or any other machine. Nothing open: nothing is done."""
    with _opened(inventory) as session:
        return go_on(session, _complete(session, wishes, ""), abort=True)


def plan(
    inventory: Site = None,
    strategy: str | Strategy = "rolling",
    *,
    ref: str = "",
    artifact: str | Path = "",
    to: str = "",
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Plan:
    """What a run would do now: looks at the fleet without a lock, plans, and changes nothing.

    A deployment is built for it (the build is kept for the run itself).
    """
    with _opened(inventory, bring_up=True) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        wishes = _complete(session, wishes, limit)
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


def status(inventory: Site = None) -> CensusTaken:
    """Which release answers on each host, and through the balancer, now."""
    with _opened(inventory) as session, threads(site_lanes(session)) as executor:
        record = ledger.read_record(session.store)
        site = session.inventory
        census = take_census(session, site.group(site.web), executor, live=record.live, standby=record.standby)
        return told_apart(census, meant(session.store)) if census.verdict == "mixed" else census


def holder(inventory: Site = None) -> lock.Entry | None:
    """Who holds the lock, or held it last, and which run is open; None when nobody ever took it."""
    with _opened(inventory) as session:
        return lock.read(session.store)


def releases(inventory: Site = None) -> tuple[Known, ...]:
    """Every release that was brought into service or failed to be, newest first."""
    return tuple(reversed(record(inventory).releases))


def record(inventory: Site = None) -> Record:
    """The releases, oldest first, the colour that serves, and what stands by."""
    with _opened(inventory) as session:
        return ledger.read_record(session.store)


def history(inventory: Site = None) -> tuple[Mapping[str, Any], ...]:
    """Runs, newest first, from the store."""
    with _opened(inventory) as session:
        return runs(session.store)


def report(inventory: Site = None, *, run: str = "") -> Report:
    """A run as one HTML page: the newest, or `run` (its id, or the part that `history` shows). Raises RefusedError."""
    with _opened(inventory) as session:
        return report_of(session, run)


def about(strategy: Strategy) -> str:
    """Which release a strategy is about: `build`, `earlier` or `present`."""
    return getattr(strategy, "release", "build")


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


@contextlib.contextmanager
def _opened(inventory: Site, *, bring_up: bool = False) -> Iterator[OpenSession]:
    with opened(read(inventory, bring_up=bring_up)) as session:
        yield session


def read(inventory: Site, *, bring_up: bool = False) -> Inventory:
    """An inventory by name, path or as it is. `bring_up`: start the embedded fleet if it is that one and is down."""
    if isinstance(inventory, Inventory):
        return inventory
    path = find_inventory(str(inventory) if inventory else None)
    if bring_up:
        from dojo_deploy.config import sandbox_options

        options = sandbox_options(path)
        if options is not None:
            from dojo_deploy.sandbox.inventory import bring_up as start

            start(path, options)
    return load_inventory(path)


def _complete(session: OpenSession, wishes: Wishes | None, limit: str) -> Wishes:
    return replace(wishes or Wishes(), limit=limit, redact=redactor(session.inventory))
