"""Rollback and restart, as their plans read."""

from __future__ import annotations

import pytest

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.release import Release
from dojo_deploy.strategies import Hook, Restart, Rollback
from tests.sites import NEW, OLD, fleet, site


def test_a_rollback_neither_stages_nor_migrates() -> None:
    inventory = site(3)
    has_both = {"releases": (OLD.id, NEW.id)}
    seen = fleet(inventory, release=NEW, web1=has_both, web2=has_both, web3=has_both)
    plan = Rollback().plan(inventory, OLD, seen)

    assert {step.name for _, _, _, step in plan.steps()} == {"drain", "switch", "restore", "save processes"}
    assert [len(stage.lanes) for stage in plan.stages] == [1, 2, 3]


def test_a_release_that_a_host_no_longer_has_is_refused_naming_host_and_way_out() -> None:
    inventory = site(2)
    seen = fleet(inventory, release=NEW, web1={"releases": (OLD.id, NEW.id)})

    with pytest.raises(RefusedError, match=r"no longer on web2[\s\S]*invoke deploy --ref 1111"):
        Rollback().plan(inventory, OLD, seen)


def test_a_restart_keeps_each_hosts_own_release() -> None:
    inventory = site(2)
    plan = Restart().plan(inventory, Release(""), fleet(inventory, web2={"current": {"blue": "other"}}))

    releases = {
        lane.host: step.gate.target.release for _, _, lane, step in plan.steps() if step.gate and step.gate.target
    }
    assert releases == {"web1": OLD.id, "web2": "other"}


def test_nothing_to_restart_is_refused() -> None:
    inventory = site(2)

    with pytest.raises(RefusedError, match="nothing is deployed"):
        Restart().plan(inventory, Release(""), fleet(inventory, release=Release("")))


def test_hooks_run_around_what_a_rollback_does_and_others_are_refused() -> None:
    inventory = site(1)
    seen = fleet(inventory, release=NEW, web1={"releases": (OLD.id, NEW.id)})
    hooks = tuple(Hook("x", phase="finish", when=when, name=when) for when in ("before", "after"))
    names = [stage.name for stage in Rollback(hooks=hooks).plan(inventory, OLD, seen).stages]

    assert names[-3:] == ["before finish: before", "finish", "after finish: after"]
    Rollback(hooks=(Hook("x", phase="batch", when="on_failure"),))
    for phase in ("prepare", "migrate"):
        for when in ("before", "on_failure"):
            with pytest.raises(ConfigError, match=f"the phase '{phase}', which never comes here"):
                Rollback(hooks=(Hook("x", phase=phase, when=when),))
