"""What is there, read from the hosts and the store; nothing is changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from dojo_deploy.app.sites import Site, opening
from dojo_deploy.clock import utc
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.census import take_census
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.history import runs
from dojo_deploy.engine.partial import meant, told_apart
from dojo_deploy.engine.record import Record
from dojo_deploy.errors import DojoError
from dojo_deploy.events import CensusTaken
from dojo_deploy.release import Known, Standby
from dojo_deploy.runs import which
from dojo_deploy.runs.begin import site_lanes
from dojo_deploy.runs.reports import Report, report_of
from dojo_deploy.session import OpenSession


def status(inventory: Site = None) -> CensusTaken:
    """Which release answers on each host, and through the balancer, now."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        record = ledger.read_record(session.store)
        site = session.inventory
        census = take_census(session, site.group(site.web), executor, live=record.live, standby=record.standby)
        return told_apart(census, meant(session.store)) if census.verdict == "mixed" else census


def is_closed(inventory: Site = None) -> bool | None:
    """Whether users get the maintenance page now; None where the balancer does not answer."""
    with opening(inventory) as session, contextlib.suppress(DojoError):
        return session.inventory.balancer.closed(session)
    return None


def holder(inventory: Site = None) -> lock.Entry | None:
    """Who holds the lock, or held it last, and which run is open; None when nobody ever took it."""
    with opening(inventory) as session:
        return lock.read(session.store)


def due(inventory: Site = None, *, now: bool = False) -> tuple[Standby | None, str]:
    """The standby that `retire` would stop, or why there is none; `now`: also before it is due."""
    with opening(inventory) as session:
        return due_in(session, now=now)


def due_in(session: OpenSession, *, now: bool) -> tuple[Standby | None, str]:
    """The same, where a session is open."""
    return which.due(ledger.read_record(session.store), utc(session.clock.now()), early=now)


def releases(inventory: Site = None) -> tuple[Known, ...]:
    """Every release that was brought into service or failed to be, newest first."""
    return tuple(reversed(record(inventory).releases))


def record(inventory: Site = None) -> Record:
    """The releases, oldest first, the colour that serves, and what stands by."""
    with opening(inventory) as session:
        return ledger.read_record(session.store)


def history(inventory: Site = None) -> tuple[Mapping[str, Any], ...]:
    """Runs, newest first, from the store."""
    with opening(inventory) as session:
        return runs(session.store)


def report(inventory: Site = None, *, run: str = "") -> Report:
    """A run as one HTML page: the newest, or `run` (its id, or the part that `history` shows). Raises RefusedError."""
    with opening(inventory) as session:
        return report_of(session, run)
