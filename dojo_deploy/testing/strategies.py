"""What every strategy promises: subclass `StrategyContract` in a test, and give yours in a fixture."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass, fields, replace

import pytest

from dojo_deploy.config import inventory_from_document, strategy_document, strategy_from_document
from dojo_deploy.interfaces import Strategy
from dojo_deploy.plan import Plan
from dojo_deploy.release import Known, Observed, Release
from dojo_deploy.testing.sites import NEW, OLD, fleet, site

EARLIER = Release("older-0000", "0000", "v0")


def leaves_somebody_to_serve(plan: Plan, seen: Observed) -> set[str]:
    """Holds every stage to it, and returns the hosts that get requests in the end."""
    serving = {name for name, found in seen.hosts.items() if not found.drained}
    for stage in plan.stages:
        out = {lane.host for lane in stage.lanes if any(step.name == "drain" for step in lane.steps)}
        assert not out or serving - out, f"{stage.name} drains {out}: nobody is left to serve"
        serving |= {lane.host for lane in stage.lanes if any(step.name == "restore" for step in lane.steps)}
    return serving


@dataclass(frozen=True)
class Planned:
    """One plan, the same made of documents, as another machine would that goes on with the run, and its fleet."""

    plan: Plan
    again: Plan
    seen: Observed


class StrategyContract:
    """To be given: a fixture `strategy`. It is planned for sites of so many `sizes`, every host in good health."""

    sizes: tuple[int, ...] = (1, 2, 3, 7)

    @pytest.fixture
    def planned(self, strategy: Strategy) -> list[Planned]:
        return [_planned(strategy, hosts) for hosts in self.sizes]

    def test_it_is_a_frozen_value_whose_fields_are_the_keys_of_its_file(self, strategy: Strategy) -> None:
        assert strategy_from_document(strategy_document(strategy)) == strategy
        for item in fields(strategy):  # type: ignore[arg-type]
            with pytest.raises(FrozenInstanceError):
                setattr(strategy, item.name, None)

    def test_its_plan_is_the_same_wherever_it_is_made(self, planned: list[Planned]) -> None:
        for one in planned:
            assert one.plan.outline(commands=True) == one.again.outline(commands=True)
            assert one.plan.hash == one.again.hash, "a resume would refuse to go on"

    def test_somebody_serves_at_every_stage_and_everybody_in_the_end(self, planned: list[Planned]) -> None:
        for one in planned:
            assert leaves_somebody_to_serve(one.plan, one.seen) == set(one.seen.hosts)

    def test_what_must_run_once_is_in_the_plan_once(self, planned: list[Planned]) -> None:
        for one in planned:
            once = [step.name for _, _, _, step in one.plan.steps() if step.once]
            assert sorted(once) == sorted(set(once))

    def test_what_takes_traffic_or_code_away_can_be_undone(self, planned: list[Planned]) -> None:
        for one in planned:
            changes = [(name, step) for name, _, _, step in one.plan.steps() if step.name in ("drain", "switch")]
            assert [name for name, step in changes if step.undo is None and not step.no_way_back] == []

    def test_every_step_says_what_it_does_and_has_a_deadline(self, planned: list[Planned]) -> None:
        for one in planned:
            for name, _, _, step in one.plan.steps():
                assert step.deadline > 0, name
                assert step.action.preview() or step.gate, name

    def test_the_plan_is_data(self, planned: list[Planned]) -> None:
        for one in planned:
            assert json.loads(json.dumps(one.plan.as_dict()))["release"] == one.plan.release.id


def _planned(strategy: Strategy, hosts: int) -> Planned:
    inventory = site(hosts)
    release = {"build": NEW, "earlier": EARLIER, "present": OLD}[getattr(strategy, "release", "build")]
    seen = fleet(inventory)
    found = {
        name: replace(host, releases=(OLD.id, EARLIER.id), sha256={OLD.id: "cd" * 32, EARLIER.id: "ef" * 32})
        for name, host in seen.hosts.items()
    }
    passed = Known(EARLIER.id, EARLIER.commit, EARLIER.ref, passed="2025-12-01T00:00:00Z")
    serving = {"blue": tuple(found), "green": ()}
    seen = replace(seen, hosts=found, known=(passed, *seen.known), serving=serving)
    asks = getattr(strategy, "asks", {})
    seen = replace(seen, facts=dict.fromkeys(asks(seen) if callable(asks) else asks, ""))
    again = strategy_from_document(strategy_document(strategy))
    elsewhere = inventory_from_document(inventory.document)
    return Planned(strategy.plan(inventory, release, seen), again.plan(elsewhere, release, seen), seen)
