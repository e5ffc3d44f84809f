"""Rolling, as its plan reads: a diff of these texts is a diff of the deployment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.plan import Plan, Step
from dojo_deploy.release import Known, Platform, Release
from dojo_deploy.steps.rollout import split
from dojo_deploy.strategies import Bake, Hook, Migrate, Rolling
from dojo_deploy.testing.strategies import leaves_somebody_to_serve
from tests.sites import NEW, OLD, fleet, site

BARE = Release("")


def stages(plan: Plan) -> dict[str, dict[str, list[str]]]:
    return {
        stage.name: {lane.host: [step.name for step in lane.steps] for lane in stage.lanes} for stage in plan.stages
    }


def test_code_goes_everywhere_first_then_one_migration_then_batch_by_batch() -> None:
    inventory = site(3)
    plan = Rolling(batches=(1, "50%"), migrate=Migrate("npm run migrate"), bake=Bake(first=30, each=0)).plan(
        inventory, NEW, fleet(inventory)
    )

    change = ["prove", "end proof", "drain", "switch", "restore"]
    assert stages(plan) == {
        "prepare": {"web1": ["stage"], "web2": ["stage"], "web3": ["stage"]},
        "migrate": {"web1": ["migrate"]},
        "batch 1 of 3": {"web1": [*change, "bake"]},
        "batch 2 of 3": {"web2": change},
        "batch 3 of 3": {"web3": change},
        "finish": {"web1": ["save processes"], "web2": ["save processes"], "web3": ["save processes"]},
    }
    assert plan.notes == ()


def test_the_first_release_drains_nothing_and_stops_when_undone() -> None:
    inventory = site(2)
    plan = Rolling(batches=("100%",), bake=Bake(0)).plan(inventory, NEW, fleet(inventory, release=BARE))

    assert stages(plan)["batch 1 of 1"]["web1"] == ["prove", "end proof", "switch", "restore"]
    assert [step.undo.name for _, _, _, step in plan.steps() if step.name == "switch" and step.undo] == ["stop", "stop"]


def test_a_process_that_takes_long_to_stop_or_to_come_up_is_given_the_time() -> None:
    inventory = site(2)
    slow = replace(inventory.app.processes.each["web"], ready_within=50.0, stop_within=70.0)
    processes = replace(inventory.app.processes, each={"web": slow})
    patient = replace(inventory, app=replace(inventory.app, processes=processes))
    steps = [step for _, _, _, step in Rolling().plan(patient, NEW, fleet(patient)).steps()]

    patience = {step.name: step.deadline for step in steps if step.name in ("prove", "end proof", "switch")}
    assert patience == dict.fromkeys(("prove", "end proof", "switch"), 150.0)
    assert all(step.undo.deadline >= 120.0 for step in steps if step.name == "prove" and step.undo)


def test_one_host_alone_is_reloaded_in_place_and_the_plan_says_so() -> None:
    inventory = site(1)
    plan = Rolling(bake=Bake(0)).plan(inventory, NEW, fleet(inventory))

    assert stages(plan)["batch 1 of 1"]["web1"] == ["prove", "end proof", "switch"]
    assert plan.notes == ("nothing else serves: hosts are reloaded in place, without being drained",)


def test_one_host_alone_that_cannot_reload_without_a_gap_is_refused() -> None:
    inventory = site(1, mode="fork")

    with pytest.raises(RefusedError, match="every serving host"):
        Rolling().plan(inventory, NEW, fleet(inventory))


def test_without_a_balancer_the_gap_is_said() -> None:
    inventory = site(2, mode="fork", balancer={"kind": "none"})

    assert Rolling().plan(inventory, NEW, fleet(inventory)).notes == (
        "no balancer: each host serves nothing while its processes restart",
    )


def test_what_the_balancer_warns_of_is_part_of_the_plan() -> None:
    inventory = site(2)
    seen = replace(fleet(inventory), warnings=("lb1: nginx 1.18: a reload may cut a connection",))

    assert Rolling().plan(inventory, NEW, seen).notes == seen.warnings


def test_sick_hosts_go_first() -> None:
    inventory = site(3)
    plan = Rolling(batches=(1,)).plan(inventory, NEW, fleet(inventory, web3={"running": {}}))

    assert list(stages(plan)["batch 1 of 3"]) == ["web3"]


def test_hosts_that_serve_nobody_go_before_sick_ones() -> None:
    inventory = site(4)
    seen = fleet(inventory, web2={"sick": "500"}, web3={"drained": True}, web4={"running": {}})
    plan = Rolling(batches=(1,)).plan(inventory, NEW, seen)

    order = [lane.host for stage in plan.stages for lane in stage.lanes if stage.name.startswith("batch")]
    assert order == ["web3", "web2", "web4", "web1"]


def test_going_back_asks_no_more_of_a_host_than_it_gave_before() -> None:
    inventory = site(3)
    plan = Rolling().plan(inventory, NEW, fleet(inventory, web1={"sick": "500"}, web2={"running": {}}))

    gated = {
        lane.host: step.undo.gate is not None
        for _, _, lane, step in plan.steps()
        if step.name == "switch" and step.gate and step.undo
    }
    assert gated == {"web1": False, "web2": False, "web3": True}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"missing": ("config.json",)}, "lacks the shared file config.json"),
        ({"free": 10}, "MiB free"),
        ({"platform": Platform("Linux", "aarch64")}, "machine: aarch64, built for x86_64"),
        ({"current": {"blue": NEW.id}, "sha256": {NEW.id: "other"}}, "another build"),
    ],
)
def test_an_unfit_host_is_refused_before_any_change(changes: dict[str, object], said: str) -> None:
    inventory = site(2)
    release = Release(NEW.id, sha256=NEW.sha256, size=10**6, platform=Platform("Linux", "x86_64"))

    with pytest.raises(RefusedError, match=said):
        Rolling().plan(inventory, release, fleet(inventory, web2=changes))


def test_a_release_that_served_before_is_not_replaced_by_another_build_of_it() -> None:
    inventory = site(2)
    seen = fleet(inventory, web2={"releases": (OLD.id, NEW.id), "sha256": {NEW.id: "other"}})
    passed = replace(seen, known=(Known(NEW.id, passed="2025-01-01T00:00:00Z"), *seen.known))

    with pytest.raises(RefusedError, match="web2 has another build"):
        Rolling().plan(inventory, NEW, passed)
    assert "stage" in stages(Rolling().plan(inventory, NEW, seen))["prepare"]["web2"]


def test_room_is_asked_for_only_where_the_artifact_has_to_go() -> None:
    inventory = site(2)
    there = {"free": 10, "releases": (OLD.id, NEW.id), "sha256": {NEW.id: NEW.sha256}}

    Rolling().plan(inventory, NEW, fleet(inventory, web1=there, web2=there))
    with pytest.raises(RefusedError, match="web2 has 0 MiB free"):
        Rolling().plan(inventory, NEW, fleet(inventory, web1=there, web2={"free": 10}))


def test_an_artifact_that_a_host_has_is_not_sent_again() -> None:
    inventory = site(2)
    seen = fleet(inventory, web1={"sha256": {NEW.id: NEW.sha256}, "releases": (OLD.id, NEW.id)})

    assert stages(Rolling().plan(inventory, NEW, seen))["prepare"] == {
        "web1": ["refresh environment"],
        "web2": ["stage"],
    }


def test_pruning_spares_the_current_the_last_good_and_the_new_release() -> None:
    inventory = site(1, balancer={"kind": "none"})
    many = tuple(f"r{number}" for number in range(9))
    plan = Rolling().plan(inventory, NEW, fleet(inventory, web1={"releases": (*many, OLD.id)}))
    pruned = [str(step.action.preview()) for _, _, _, step in plan.steps() if step.name == "prune"]

    assert len(pruned) == 1
    assert OLD.id not in pruned[0]
    assert NEW.id not in pruned[0]


def test_hooks_are_steps_of_the_plan() -> None:
    inventory = site(2)
    hooks = (
        Hook("notify start", name="notify"),
        Hook("warm up", phase="batch", when="after", on="each", undo="cool down"),
        Hook("tell everyone", when="on_failure"),
    )
    plan = Rolling(hooks=hooks, batches=("100%",), bake=Bake(0)).plan(inventory, NEW, fleet(inventory, release=BARE))

    assert stages(plan)["before run: notify"] == {"controller": ["notify"]}
    assert stages(plan)["batch 1 of 1"]["web2"][-1] == "after batch: 1"
    assert [stage.name for stage in plan.after_failure] == ["on failure: 1"]


def test_hooks_of_one_name_are_numbered() -> None:
    inventory = site(2)
    twins = tuple(
        replace(hook, name="tell")
        for hook in (Hook("a"), Hook("b"), Hook("c", phase="batch", on="each"), Hook("d", phase="batch", on="each"))
    )
    alarms = (Hook("e", when="on_failure", name="tell"), Hook("f", when="on_failure", name="tell"))
    plan = Rolling(hooks=(*twins, *alarms), batches=("100%",)).plan(inventory, NEW, fleet(inventory, release=BARE))

    assert list(stages(plan))[:2] == ["before run: tell 1", "before run: tell 2"]
    assert [name for name in stages(plan)["batch 1 of 1"]["web1"] if "tell" in name] == [
        "before batch: tell 1",
        "before batch: tell 2",
    ]
    assert [stage.name for stage in plan.after_failure] == ["on failure: tell 1", "on failure: tell 2"]


def test_names_that_cannot_be_told_apart_are_an_error_with_a_way_out() -> None:
    inventory = site(2)
    hooks = tuple(Hook("true", name=name, phase="batch", on="each") for name in ("x 2", "x", "x"))

    with pytest.raises(
        ConfigError, match=r"two steps would be 'batch 1 of 2/web1/before batch: x 2'[\s\S]*a name of its own"
    ):
        Rolling(hooks=hooks).plan(inventory, NEW, fleet(inventory))


def test_hooks_of_batches_run_once_per_batch_and_do_not_claim_otherwise() -> None:
    inventory = site(3)
    hooks = tuple(Hook("x", phase=phase, on="once", name=phase) for phase in ("prepare", "batch"))
    plan = Rolling(hooks=hooks, batches=(1,)).plan(inventory, NEW, fleet(inventory))

    found = {stage.name: step.once for _, stage, _, step in plan.steps() if step.name in ("prepare", "batch")}
    assert found == {
        "before prepare: prepare": True,
        **{f"batch {number} of 3: before batch: batch": False for number in (1, 2, 3)},
    }


@pytest.mark.parametrize(
    ("serial", "total", "sizes"),
    [
        ((1,), 3, [1, 1, 1]),
        ((2,), 3, [2, 1]),
        (("50%",), 3, [1, 1, 1]),
        (("50%",), 4, [2, 2]),
        ((1, "100%"), 3, [1, 2]),
        ((1, 5, 10), 20, [1, 5, 10, 4]),
        (("10%", "20%", "100%"), 10, [1, 2, 7]),
        ((0,), 3, [3]),
        (("1%",), 3, [1, 1, 1]),
    ],
)
def test_batches_are_ansibles(serial: tuple[int | str, ...], total: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in split(tuple(range(total)), serial)] == sizes  # type: ignore[arg-type]


@pytest.mark.parametrize(("entry", "tolerated"), [(0, 0), ("0%", 0), ("10%", 0), ("34%", 1), ("100%", 3), (2, 2)])
def test_a_share_of_failures_is_rounded_down_to_none(entry: int | str, tolerated: int) -> None:
    inventory = site(3)

    assert Rolling(max_failures=entry).plan(inventory, NEW, fleet(inventory)).max_failures == tolerated


@settings(max_examples=60, deadline=None)
@given(
    hosts=st.integers(1, 12),
    batches=st.lists(
        st.one_of(st.integers(1, 5), st.sampled_from(["10%", "34%", "50%", "100%"])), min_size=1, max_size=3
    ),
    sick=st.sets(st.integers(1, 12)),
    drained=st.sets(st.integers(1, 12)),
)
def test_no_plan_empties_the_balancer_repeats_a_once_step_or_forgets_what_it_saw(
    hosts: int, batches: list[int | str], sick: set[int], drained: set[int]
) -> None:
    inventory = site(hosts)
    seen = fleet(
        inventory,
        **{
            f"web{number}": {
                **({"running": {}} if number in sick else {}),
                **({"drained": True} if number in drained else {}),
            }
            for number in range(1, hosts + 1)
        },
    )
    plan = Rolling(batches=tuple(batches), migrate=Migrate("migrate")).plan(inventory, NEW, seen)

    assert leaves_somebody_to_serve(plan, seen) == set(seen.hosts)
    assert [step.name for _, _, _, step in plan.steps() if step.once] == ["migrate"]
    switched = [lane.host for _, _, lane, step in plan.steps() if step.name == "switch"]
    assert sorted(switched) == sorted(seen.hosts)
    for _, _, lane, step in plan.steps():
        if step.name == "switch":
            assert step.undo
            assert OLD.id in undo_text(step)
            assert (step.undo.gate is None) == (int(lane.host.removeprefix("web")) in sick)
            if step.undo.gate:
                assert step.undo.gate.target and step.undo.gate.target.release == OLD.id


def undo_text(step: Step) -> str:
    return "\n".join(step.undo.action.preview()) if step.undo else ""


def test_a_host_that_comes_back_is_held_to_its_gate_through_the_balancer() -> None:
    inventory = site(2)
    plan = Rolling(bake=Bake(0)).plan(inventory, NEW, fleet(inventory))
    gates = [step.gate for _, _, _, step in plan.steps() if step.name == "restore"]

    assert [(gate.probes, gate.target.via, gate.target.release) for gate in gates if gate and gate.target] == [
        (("health",), "balancer", NEW.id),
        (("health",), "balancer", NEW.id),
    ]


def test_staging_with_the_batch_travels_with_the_switch_and_leaves_the_migration_its_release() -> None:
    inventory = site(2, balancer={"kind": "none"})
    plan = Rolling(stage="with-batch", prove="off", batches=("100%",), bake=Bake(0), migrate=Migrate("m")).plan(
        inventory, NEW, fleet(inventory)
    )

    assert stages(plan)["prepare"] == {"web1": ["stage"]}
    assert stages(plan)["batch 1 of 1"] == {"web1": ["switch"], "web2": ["stage", "switch"]}
