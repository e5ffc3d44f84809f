"""A fleet of two releases is mixed, unless the last run was one of some hosts only and left it so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dojo_deploy.command import Command
from dojo_deploy.engine.census import take_census
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.partial import STAYING, meant, told_apart
from dojo_deploy.events import CensusTaken
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Lane, OnHost, Plan, Stage, Step
from dojo_deploy.release import Observed, Release
from dojo_deploy.reporters.html import words
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.rollout import Bake
from dojo_deploy.strategies.migrating import Migrating
from dojo_deploy.strategies.restart import Restart
from tests.engine.rig import Fleet
from tests.engine.tiny import GATE, Tiny


def status(fleet: Fleet) -> str:
    with fleet.opened() as session, threads(2) as executor:
        site = session.inventory
        census = take_census(session, site.group(site.web), executor, live="blue")
        return told_apart(census, meant(session.store)).verdict


def closing(fleet: Fleet) -> str:
    """What the last run itself said of the fleet."""
    return [event for event in fleet.events if isinstance(event, CensusTaken)][-1].verdict


def test_a_deliberate_part_is_partial_until_the_rest_follows(fleet: Fleet) -> None:
    assert fleet.deploy(limit="web2").verdict == "partial"
    assert (closing(fleet), status(fleet)) == ("partial", "partial")
    assert fleet.deploy(limit="web1").verdict == "partial"
    assert (closing(fleet), status(fleet)) == ("consistent", "consistent")


def test_a_run_that_left_everything_as_it_was_is_looked_past(fleet: Fleet) -> None:
    fleet.deploy(limit="web2")
    fleet.fault("web1", "count")
    assert fleet.deploy(release=Release("v0")).verdict == "rolled back"
    assert status(fleet) == "partial"
    fleet.document["app"] |= {"processes": {"kind": "command", "web": {"port": 3000, "start": "true"}}}
    fleet.document["probes"]["health"] = {"kind": "tests.engine.tiny:Well"}
    restart = fleet.deploy(Restart(gate=GATE, bake=Bake(first=0.0), limit="web2"), limit="web2")
    assert (restart.verdict, closing(fleet), status(fleet)) == ("partial", "partial", "partial")


def test_a_migration_alone_leaves_a_part_what_it_was(fleet: Fleet) -> None:
    fleet.deploy(limit="web2")
    (fleet.base / "web1" / "releases" / "v1" / ".dojo" / "env.sh").touch()
    assert fleet.deploy(Migrating(Migrate("true"))).verdict == "done"
    assert status(fleet) == "partial"


@dataclass(frozen=True)
class Idle:
    """Does nothing to any host, under another strategy's name."""

    called: str = "restart"

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:  # noqa: ARG002
        return Plan(
            self.called, release, (Stage("look", (Lane("web1", (Step("look", OnHost((Command.of("true"),))),)),)),)
        )


@pytest.mark.parametrize("strategy", STAYING)
def test_so_does_every_strategy_that_brings_no_release(fleet: Fleet, strategy: str) -> None:
    fleet.deploy(limit="web2")
    assert fleet.deploy(Idle(strategy)).verdict == "done"
    assert status(fleet) == "partial"
    assert strategy in words.STAYING, "and the report says what it did"


@pytest.mark.parametrize("changed", ["release", "drained", "later"])
def test_what_nobody_meant_is_mixed(fleet: Fleet, changed: str) -> None:
    fleet.deploy(limit="web2")
    if changed == "release":
        fleet.link("web1", "v0")
    elif changed == "drained":
        (fleet.doors / "web1").touch()
    else:
        assert fleet.deploy().verdict == "done"
        fleet.link("web1", "v1")
    assert status(fleet) == "mixed"


def test_a_tolerated_failure_is_mixed(fleet: Fleet) -> None:
    fleet.fault("web1", "gate")
    assert fleet.deploy(Tiny(max_failures=1)).verdict == "tolerated"
    assert (closing(fleet), status(fleet)) == ("mixed", "mixed")


def test_a_first_deployment_on_some_hosts_is_partial(fleet: Fleet) -> None:
    for name in fleet.names:
        (fleet.base / name / "slots/blue/current").unlink()
    assert fleet.deploy(limit="web2").verdict == "partial"
    assert (closing(fleet), status(fleet)) == ("partial", "partial")
