"""The orchestrator dies after one record of its journal, killed with -9; somebody goes on, knowing nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.crash import Ground
from tests.e2e.fleet import Fleet
from tests.e2e.walks import die_and_go_on

OTHER = {"v1": "v2", "v2": "v1"}
# Of each kind one: a step that must not run twice, a gate's reading, the controller's own, an undo. All of them, in
# every place, and more of each kind: the soak test below, and those of the lock and of signals.
RESUMED = ("StepStarted migrate/migrate", "GateRead batch/switch")
ABORTED = ("StepFinished batch/drain",)
ROLLED_BACK = ("StepFinished batch/switch~undo",)


@pytest.fixture
def ground(fleet: Fleet, tmp_path: Path) -> Ground:
    return Ground(fleet.inventory, tmp_path)


@pytest.mark.parametrize("after", RESUMED)
def test_a_resumed_run_ends_as_if_nobody_had_died(ground: Ground, after: str) -> None:
    before = ground.settle("v1", "v2")
    point = die_and_go_on(ground, "resume", before=before, ref=OTHER[before], after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.parametrize("after", ABORTED)
def test_an_aborted_run_leaves_the_old_release(ground: Ground, after: str) -> None:
    before = ground.settle("v1", "v2")
    point = die_and_go_on(ground, "abort", before=before, ref=OTHER[before], after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.parametrize("after", ROLLED_BACK)
def test_a_rollback_that_died_is_finished(ground: Ground, after: str) -> None:
    before = ground.settle("v1", "v2")
    point = die_and_go_on(ground, "resume", before=before, ref="v3", after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.soak
@pytest.mark.parametrize("ref", ["v2", "v3"])
@pytest.mark.parametrize("verb", ["resume", "abort"])
def test_every_record_is_a_good_place_to_die(ground: Ground, verb: str, ref: str) -> None:
    wrong, number = [], 0
    for name in ("v2", "v1"):  # both are built, so that next to nothing is counted but what is under the lock
        ground.settle(name)
    while True:
        number += 1
        before = ground.settle("v1", "v2")
        point = die_and_go_on(ground, verb, before=before, ref="v3" if ref == "v3" else OTHER[before], after=number)
        wrong += [str(point)] if point.wrong else []
        if not point.was_reached:
            break
    assert number > 40
    assert not wrong, f"{len(wrong)} of {number} points\n" + "\n".join(wrong)
