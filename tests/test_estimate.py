"""What a plan says of its own length is what its settings make it."""

from __future__ import annotations

from dojo_deploy.command import Command
from dojo_deploy.estimate import at_least, at_most, sentence
from dojo_deploy.plan import Gate, Lane, OnHost, Plan, Stage, Step
from dojo_deploy.release import Release
from dojo_deploy.strategies import Bake, Migrate, Rolling
from tests.sites import NEW, OLD, fleet, site

DO = OnHost((Command.of("true"),))
GATE = Gate(every=2.0, within=30.0, in_a_row=4)


def plan(*stages: Stage) -> Plan:
    return Plan("rolling", Release("r1"), stages)


def test_steps_of_a_lane_and_stages_follow_each_other_and_lanes_do_not() -> None:
    long = Lane("web1", (Step("a", DO, deadline=10.0), Step("b", DO, gate=GATE, deadline=20.0)))
    short = Lane("web2", (Step("a", DO, deadline=5.0),))
    one = plan(Stage("one", (long, short)))
    assert (at_least(one), at_most(one)) == (6.0, 60.0)
    two = plan(Stage("one", (long, short)), Stage("two", (short,)))
    assert (at_least(two), at_most(two)) == (6.0, 65.0)


def test_a_step_that_is_only_a_gate_has_no_deadline_of_its_own() -> None:
    watched = plan(Stage("watch", (Lane("web1", (Step("watch", OnHost(()), gate=GATE, deadline=60.0),)),)))
    assert at_most(watched) == 30.0


def test_an_empty_plan_takes_no_time() -> None:
    assert (at_least(plan()), at_most(plan())) == (0.0, 0.0)


def test_a_rolling_deployment_takes_its_bakes_and_gates_at_least() -> None:
    inventory = site(3)
    seen = fleet(inventory, release=OLD)
    gate = Gate(every=1.0, within=60.0, in_a_row=3)
    rolling = Rolling(
        batches=(1, 2), prove="off", gate=gate, bake=Bake(first=30.0), migrate=Migrate("x", deadline=600.0)
    )
    made = rolling.plan(inventory, NEW, seen)
    # Per batch: switch, and back in the balancer; the bake is the first batch's.
    assert at_least(made) == 2 * (2.0 + 2.0) + 30.0
    assert at_most(made) > 600.0
    assert f"  {sentence(made)}" in made.outline().splitlines()
    assert made.as_dict()["seconds"] == {"at_least": at_least(made), "at_most": at_most(made)}
