"""The orchestrator dies, killed with -9, after one record of its journal; somebody else goes on, knowing nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.crash import Ground
from tests.e2e.fleet import Fleet
from tests.e2e.walks import die_and_go_on

# One of each kind of record: in front of the lock, under it, a host's step, one that must not run twice, the
# controller's own, a gate's reading, an undo, the end.
RESUMED = (
    "StageFinished build",
    "StepFinished before run: tell/tell",
    "StepStarted migrate/migrate",
    "GateRead batch/switch",
    "RunFinished",
)
ABORTED = ("PlanMade", "StepStarted prepare/stage", "StepFinished batch/drain", "StepStarted finish/save processes")
ROLLED_BACK = ("GateFailed batch/switch", "StepFinished batch/switch~undo")


@pytest.fixture
def ground(fleet: Fleet, tmp_path: Path) -> Ground:
    ground = Ground(fleet.inventory, tmp_path)
    ground.settle("v1")
    return ground


@pytest.mark.parametrize("after", RESUMED)
def test_a_resumed_run_ends_as_if_nobody_had_died(ground: Ground, after: str) -> None:
    point = die_and_go_on(ground, "resume", before="v1", ref="v2", after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.parametrize("after", ABORTED)
def test_an_aborted_run_leaves_the_old_release(ground: Ground, after: str) -> None:
    point = die_and_go_on(ground, "abort", before="v1", ref="v2", after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.parametrize("after", ROLLED_BACK)
def test_a_rollback_that_died_is_finished(ground: Ground, after: str) -> None:
    point = die_and_go_on(ground, "resume", before="v1", ref="v3", after=after)
    assert point.was_reached and not point.wrong, str(point)


@pytest.mark.soak
@pytest.mark.parametrize("ref", ["v2", "v3"])
@pytest.mark.parametrize("verb", ["resume", "abort"])
def test_every_record_is_a_good_place_to_die(ground: Ground, verb: str, ref: str) -> None:
    before, wrong, number = "v1", [], 0
    for name in ("v2", "v1"):  # both are built, so that only what is under the lock is counted
        assert ground.deploy(name).verdict == "done"
    while True:
        number += 1
        target = ref if ref == "v3" else {"v1": "v2", "v2": "v1"}[before]
        point = die_and_go_on(ground, verb, before=before, ref=target, after=number)
        if point.wrong:
            wrong.append(str(point))
            ground.settle("v1")
        live = ground.live()
        before = next(name for name in ("v1", "v2") if ground.release(name) == live)
        if not point.was_reached:
            break
    assert number > 40
    assert not wrong, f"{len(wrong)} of {number} points\n" + "\n".join(wrong)
