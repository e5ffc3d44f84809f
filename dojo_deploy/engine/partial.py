"""Fleets whose hosts run different releases on purpose: the last run was one of some hosts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dojo_deploy.engine import history, ledger
from dojo_deploy.events import CensusTaken
from dojo_deploy.interfaces import Store
from dojo_deploy.plan import CONTROLLER, Plan
from dojo_deploy.release import Observed

LOOKED = 10  # runs back; each of them left everything as it had found it
AS_FOUND = ("rolled back", "aborted", "never began")
# Strategies whose runs speak for no release, whatever comes of them.
NO_RELEASE = ("restart", "migrate", "restore", "maintenance", "reopen", "index", "reindex", "vacuum", "terminate")
STAYING = (*NO_RELEASE, "retire")  # those after which each host serves what it served


def meant_by(plan: Plan, seen: Observed) -> Mapping[str, str]:
    """Host -> the release that it should serve once the run has ended well."""
    hosts = {lane.host for stage in plan.stages for lane in stage.lanes}
    return _meant(plan.strategy, hosts, plan.release.id, seen)


def meant(store: Store) -> Mapping[str, str]:
    """The same of the last run that changed anything; empty where that was not one of some hosts only."""
    # By their time: ids are sorted to the second.
    for run in sorted(history.runs(store, limit=LOOKED), key=lambda run: str(run["at"]), reverse=True):
        if run["verdict"] in AS_FOUND or (run["strategy"] in STAYING and run["verdict"] in ("done", "partial")):
            continue
        if run["verdict"] != "partial":
            break
        header = ledger.read_header(store, str(run["run"]))
        hosts = {lane["host"] for stage in header.plan["stages"] for lane in stage["lanes"]}
        seen = ledger.observed_from_dict(header.observed)
        return _meant(str(run["strategy"]), hosts, str(run["release"]), seen)
    return {}


def told_apart(census: CensusTaken, meant: Mapping[str, str]) -> CensusTaken:
    """The census as `partial`, not `mixed`, when all is well and each host runs what it should."""
    if census.verdict != "mixed" or not meant:
        return census
    right = all(_is_right(row, meant.get(host)) for host, row in census.rows.items())
    return replace(census, verdict="partial") if right else census


def _meant(strategy: str, hosts: Iterable[str], release: str, seen: Observed) -> Mapping[str, str]:
    found = {host: seen.current(host) for host in seen.hosts}
    changed = {} if strategy in STAYING else dict.fromkeys(set(hosts) - {CONTROLLER}, release)
    return {**found, **changed}


def _is_right(row: Mapping[str, str], release: str | None) -> bool:
    """`release`: empty for a host that was bare, none for one that nobody looked at."""
    if row["verdict"] == "bare":
        return not release
    serves = row["verdict"] == "ok" and row.get("balancer") in ("serving", "none")
    return serves and release in (None, row["current"])
