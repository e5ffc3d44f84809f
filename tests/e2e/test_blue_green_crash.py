"""Blue-green's orchestrator dies around the switch, over SSH, PM2 and nginx; somebody goes on, knowing nothing of it.

Kinds of record first, then every single one. On a fleet without SSH: tests/engine/test_colours.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.colour_walks import Point, deployment, retirement, switch_back
from tests.e2e.colours import HASTE, OTHER, Colours
from tests.e2e.looking import variant
from tests.e2e.sessions import Order, run

DEPLOYING = (
    "StepStarted prepare/stage",
    "StepFinished migrate/migrate",
    "StepStarted start/start",
    "GateRead start/start",
    "StepStarted switch/switch",
    "StepFinished switch/switch",
    "StepFinished switch/identity",
    "StepStarted end workers/pause workers",
    "StepFinished begin workers/begin workers",
    "GateRead watch/watch",
    "StepStarted finish/save processes",
)
ROLLING_BACK = ("StepStarted switch/switch", "StepFinished switch/switch", "StepStarted begin workers/begin workers")
RETIRING = ("StepStarted retire/retire", "StepFinished retire/retire")

pytestmark = pytest.mark.soak


def elsewhere(fleet: Colours, path: Path) -> str:
    """The same fleet, from a folder that has heard of no run."""
    return str(variant(fleet, path / "inventories" / "sandbox.yml", lambda _: None).inventory)


@pytest.mark.parametrize("verb", ["resume", "abort"])
@pytest.mark.parametrize("after", DEPLOYING)
def test_a_deployment_that_died_ends_on_one_colour(pair: Colours, tmp_path: Path, after: str, verb: str) -> None:
    ref = pair.alone("v1", "v2")
    live, before = pair.record.live, pair.release(ref)
    new = "v2" if ref == "v1" else "v1"
    order = Order("deploy", str(pair.inventory), new, HASTE, after, strategy="blue-green")

    assert run(order, tmp_path).was_killed
    assert len(pair.answers()) == 1, "all users are on one colour, whoever died"
    gone_on = run(Order(verb, elsewhere(pair, tmp_path)), tmp_path)

    assert (gone_on.verdict, gone_on.status) == ("done" if verb == "resume" else "aborted", 0), gone_on.message
    if verb == "resume":
        pair.stand(OTHER[live], pair.release(new), standby=before)
    else:
        pair.stand(live, before)


@pytest.mark.parametrize("verb", ["resume", "abort"])
@pytest.mark.parametrize("after", ROLLING_BACK)
def test_a_switch_back_that_died_ends_on_one_colour(pair: Colours, tmp_path: Path, after: str, verb: str) -> None:
    ref = pair.alone("v1", "v2")
    live, before = pair.record.live, pair.release(ref)
    new = pair.bring("v2" if ref == "v1" else "v1").result.release
    quick = {key: HASTE[key] for key in ("gate.every", "gate.in_a_row", "settle")}

    assert run(Order("rollback", str(pair.inventory), "", quick, after), tmp_path).was_killed
    assert len(pair.answers()) == 1
    gone_on = run(Order(verb, elsewhere(pair, tmp_path)), tmp_path)

    assert (gone_on.verdict, gone_on.status) == ("done" if verb == "resume" else "aborted", 0), gone_on.message
    if verb == "resume":
        pair.stand(live, before, standby=new)
    else:
        pair.stand(OTHER[live], new, standby=before)


@pytest.mark.parametrize("after", RETIRING)
def test_a_retirement_that_died_still_happens(pair: Colours, tmp_path: Path, after: str) -> None:
    ref = pair.alone("v1", "v2")
    live = pair.record.live
    new = pair.bring("v2" if ref == "v1" else "v1").result.release

    assert run(Order("retire", str(pair.inventory), after=after), tmp_path).was_killed
    assert run(Order("resume", elsewhere(pair, tmp_path)), tmp_path).verdict == "done"

    pair.stand(OTHER[live], new)


def beside(fleet: Colours, work: Path, verb: str, after: str | int) -> Point:
    return deployment(fleet, work, verb, after, beside=True)


@pytest.mark.parametrize("verb", ["resume", "abort"])
@pytest.mark.parametrize("die", [deployment, beside, switch_back, retirement])
def test_every_record_is_a_good_place_to_die(
    pair: Colours, tmp_path: Path, die: Callable[[Colours, Path, str, str | int], Point], verb: str
) -> None:
    for name in ("v1", "v2"):  # both are built, so that next to nothing is counted but what is under the lock
        pair.serving(name)
    wrong, number = [], 0
    while True:
        number += 1
        point = die(pair, tmp_path / f"{number}", verb, number)
        wrong += [str(point)] if point.wrong else []
        if not point.was_reached:
            break
    assert number > 20
    assert not wrong, f"{len(wrong)} of {number} points\n" + "\n".join(wrong)
