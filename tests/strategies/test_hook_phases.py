"""Which `on_failure` hooks a failure in a stage calls: those of the stage's phase, in every strategy."""

from __future__ import annotations

import pytest

from dojo_deploy.plan import Plan
from dojo_deploy.strategies import Hook, Migrate, Rollback, Rolling
from tests.sites import NEW, OLD, fleet, site

HOOKS = tuple(
    Hook("x", phase=phase, when=when, name=f"{when} {phase}")
    for phase in ("run", "finish")
    for when in ("before", "after", "on_failure")
)


def plans() -> dict[str, Plan]:
    inventory = site(2)
    both = {host: {"releases": (OLD.id, NEW.id)} for host in ("web1", "web2")}
    return {
        "rolling": Rolling(hooks=HOOKS, migrate=Migrate("x")).plan(inventory, NEW, fleet(inventory)),
        "rollback": Rollback(hooks=HOOKS).plan(inventory, OLD, fleet(inventory, release=NEW, **both)),
    }


@pytest.mark.parametrize("name", ["rolling", "rollback"])
def test_each_stage_is_of_the_phase_that_its_name_says(name: str) -> None:
    plan = plans()[name]
    for stage in plan.stages:
        words = stage.name.replace(":", "").split()
        assert stage.phase in words, stage.name
        assert stage.decides is not stage.name.startswith("after run")
    assert [stage.phase for stage in plan.after_failure] == ["run", "finish"]
