"""The wire to one host is cut in the middle of a step: for a moment, or for good."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.events import Event, GateRead, RunStarted, StepFinished, StepStarted, Warned
from dojo_deploy.inventory import Inventory
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from tests.e2e.crash import Ground
from tests.e2e.fleet import Fleet
from tests.e2e.relay import Relay, relayed
from tests.e2e.sessions import QUICK

SLOWLY = [
    {
        "name": "count",
        "phase": "batch",
        "when": "before",
        "on": "each",
        "run": 'echo "$RELEASE" >> "$SHARED_DIR/../counted"; sleep 2; echo counted; exit 0',
        "idempotent": False,
    }
]


@pytest.fixture
def ground(fleet: Fleet, tmp_path: Path) -> Ground:
    ground = Ground(fleet.inventory, tmp_path)
    ground.settle("v1")
    ground.count_anew()
    return ground


@pytest.fixture
def wire(ground: Ground) -> Iterator[tuple[Inventory, Relay]]:
    """The fleet with a wire to web2 that can be cut."""
    with relayed(ground, "web2") as (site, relay):
        yield site, relay


def test_a_step_whose_connection_is_cut_ran_once_and_its_result_is_known(
    ground: Ground, wire: tuple[Inventory, Relay]
) -> None:
    site, relay = wire
    step = "batch 2 of 2/web2/before batch: count"
    events: list[Event] = []

    result = deploy(site, events, in_the_middle(ground, step, relay.cut), hooks=SLOWLY)

    assert (result.verdict, result.exit_code) == ("done", 0), result.reason
    ends = [event for event in events if isinstance(event, StepFinished) and event.step == step]
    assert [event.outcome for event in ends] == ["done"]
    record = [line.partition("@")[0] for line in ground.begun("web2", result.run)]
    assert record.count(f"begin {step}") == record.count(f"end {step} 0") == 1
    counted = ground.counted()
    assert {counted[host] for host in ("web1", "web2", "web3")} == {1} and counted["migrations"] == 1
    assert ground.troubles(ground.release("v2")) == []


@pytest.mark.soak
def test_a_host_that_is_gone_for_good_stays_drained_and_the_others_go_back(
    ground: Ground, wire: tuple[Inventory, Relay]
) -> None:
    site, relay = wire
    events: list[Event] = []

    def vanish(event: Event) -> None:
        # After the release was read and before health is: the gate itself finds out.
        if isinstance(event, GateRead) and event.step == "batch 2 of 2/web2/switch":
            relay.die()

    result = deploy(site, events, vanish, within="5s")

    _assert_one_is_lost_and_comes_back(ground, site, relay, result, events)


@pytest.mark.soak
def test_a_host_that_vanishes_within_a_step_stays_drained_and_the_others_go_back(
    ground: Ground, wire: tuple[Inventory, Relay]
) -> None:
    site, relay = wire
    events: list[Event] = []

    result = deploy(site, events, in_the_middle(ground, "batch 2 of 2/web2/switch", relay.die))

    _assert_one_is_lost_and_comes_back(ground, site, relay, result, events)


@pytest.mark.soak
def test_a_host_that_vanishes_within_max_failures_is_left_out_and_the_others_go_on(
    ground: Ground, wire: tuple[Inventory, Relay]
) -> None:
    site, relay = wire
    events: list[Event] = []

    result = deploy(site, events, in_the_middle(ground, "batch 2 of 2/web2/switch", relay.die), max_failures="1")

    new, census = ground.release("v2"), app.status(ground.elsewhere())
    assert (result.verdict, result.exit_code) == ("tolerated", 30), result.reason
    assert "web2 was lost and is left out of the balancer" in result.reason
    assert {name: (row["current"], row["balancer"]) for name, row in census.rows.items() if name != "web2"} == {
        "web1": (new, "serving"),
        "web3": (new, "serving"),
    }
    assert census.rows["web2"]["balancer"] == "drained"
    assert set(census.through_balancer) == {new}

    relay.listen()
    again = deploy(site, [], lambda _: None)

    assert (again.verdict, again.exit_code) == ("done", 0), again.reason
    assert ground.troubles(new) == []


def deploy(
    site: Inventory,
    events: list[Event],
    watch: Callable[[Event], None],
    *,
    hooks: list[dict[str, object]] | None = None,
    within: str = "20s",
    max_failures: str = "0",
) -> Result:
    overrides = {**QUICK, "gate.within": within, "max_failures": max_failures, "hooks": json.dumps(hooks or [])}
    wishes = Wishes(subscribers=(events.append, watch))
    return app.deploy(site, "rolling", ref="v2", overrides=overrides, wishes=wishes)


def in_the_middle(ground: Ground, step: str, act: Callable[[], None]) -> Callable[[Event], None]:
    """A subscriber that acts as soon as the host itself has noted that the step began there."""
    run: list[str] = []

    def wait() -> None:
        deadline = time.monotonic() + 60
        while f"begin {step}" not in ground.begun(step.split("/")[1], run[0]):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        act()

    def watch(event: Event) -> None:
        if isinstance(event, RunStarted):
            run.append(event.run)
        elif isinstance(event, StepStarted) and event.step == step:
            threading.Thread(target=wait, daemon=True).start()

    return watch


def _assert_one_is_lost_and_comes_back(
    ground: Ground, site: Inventory, relay: Relay, result: Result, events: list[Event]
) -> None:
    old, census = ground.release("v1"), app.status(ground.elsewhere())
    assert (result.verdict, result.exit_code) == ("mixed", 30), result.reason
    assert any("web2" in event.text for event in events if isinstance(event, Warned))
    assert {name: (row["current"], row["balancer"]) for name, row in census.rows.items() if name != "web2"} == {
        "web1": (old, "serving"),
        "web3": (old, "serving"),
    }
    assert census.rows["web2"]["balancer"] == "drained"
    assert set(census.through_balancer) == {old}

    relay.listen()
    aborted = app.abort(site)

    assert (aborted.verdict, aborted.exit_code) == ("aborted", 0), aborted.reason
    assert ground.troubles(old) == []
