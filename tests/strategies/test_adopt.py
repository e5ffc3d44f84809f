"""Adopt, as its plan reads."""

from __future__ import annotations

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.plan import Plan
from dojo_deploy.release import Release
from dojo_deploy.strategies import Adopt, Bake
from tests.sites import fleet, site

NONE = Release("")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def adopting(hosts: int, **more: object) -> Adopt:
    folders = {f"web{number}": "/home/deploy/shop" for number in range(1, hosts + 1)}
    return Adopt(folders, commit=COMMIT, found=("web1: PM2 runs shop",), **more)  # type: ignore[arg-type]


def planned(strategy: Adopt, hosts: int, release: Release = NONE) -> Plan:
    inventory = site(hosts)
    return strategy.plan(inventory, release, fleet(inventory, release=NONE))


def test_all_are_registered_and_admitted_and_then_taken_over_batch_by_batch() -> None:
    plan = planned(adopting(3, bake=Bake(first=10.0)), 3)

    assert plan.release == Release("legacy-0123456789ab", commit=COMMIT)
    change = ["drain", "take over", "restore"]
    assert {
        stage.name: {lane.host: [step.name for step in lane.steps] for lane in stage.lanes} for stage in plan.stages
    } == {
        "register": {"web1": ["register"], "web2": ["register"], "web3": ["register"]},
        "admit": {"web1": ["admit"], "web2": ["admit"], "web3": ["admit"]},
        "batch 1 of 3": {"web1": [*change, "bake"]},
        "batch 2 of 3": {"web2": change},
        "batch 3 of 3": {"web3": change},
        "finish": {"web1": ["forget the old"], "web2": ["forget the old"], "web3": ["forget the old"]},
    }
    assert plan.notes == ("web1: PM2 runs shop",)
    undone = {step.name: step.undo and step.undo.name for _, _, _, step in plan.steps()}
    # Users are on the balancer as it is written now: nobody takes them away from the old processes again.
    assert undone["admit"] is None and undone["take over"] == "give back" and undone["register"] == "discard"


def test_who_goes_on_with_it_makes_the_same_plan() -> None:
    first = planned(adopting(2), 2)

    assert planned(adopting(2), 2, first.release).hash == first.hash


def test_a_host_that_serves_alone_is_taken_over_only_with_leave() -> None:
    with pytest.raises(RefusedError, match="nothing else serves") as caught:
        planned(adopting(1), 1)
    assert "--allow-gap" in caught.value.hint
    assert "nothing else serves" in planned(adopting(1, allow_gap=True), 1).notes[1]
    with pytest.raises(RefusedError, match="nothing else serves"):
        planned(adopting(2, batches=("100%",)), 2)


def test_what_cannot_be_adopted_is_refused_before_any_change() -> None:
    with pytest.raises(RefusedError, match="nobody looked at the checkout of web2"):
        planned(adopting(1), 2)
    inventory = site(2)
    with pytest.raises(RefusedError, match="web1, web2 has a release already: old-1111"):
        adopting(2).plan(inventory, Release("old-1111"), fleet(inventory))
    systemd = site(2, kind="systemd")
    with pytest.raises(RefusedError, match="only processes of PM2 can be adopted"):
        adopting(2).plan(systemd, NONE, fleet(systemd, release=NONE))
