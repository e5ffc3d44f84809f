"""The controller loses its network, or the host that keeps the lock, and goes on from where that leaves it."""

from __future__ import annotations

import pytest

from dojo_deploy import app
from dojo_deploy.errors import DojoError
from dojo_deploy.runs.conduct import Result
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, Story, counting, deploying, within


@pytest.mark.soak
@pytest.mark.parametrize(("fault", "verb"), [("store", "abort"), ("network", "resume")])
def test_who_cannot_renew_the_lock_changes_nothing_more_until_somebody_goes_on(bed: Bed, fault: str, verb: str) -> None:
    before = bed.serving()
    bed.counted()
    cut = bed.machines["db1"].cut if fault == "store" else lambda: bed.rack.controller(up=False)

    # Longer than the lease is trusted, so that the step's end finds it lost.
    try:
        story: Story | None = deploying(bed.fleet, OTHER[before], (within("web1"), cut), hooks=counting(8))
    except DojoError as exc:
        story, code = None, exc.exit_code
    else:
        code = story.ended[1]

    assert code in (12, 30), story
    bed.heal()
    old = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, old)
    assert set(bed.through()) == {old}
    ended: Result = app.resume(bed.fleet.inventory) if verb == "resume" else app.abort(bed.fleet.inventory)
    assert ended.exit_code == 0, ended.reason
    assert max(bed.counted().values()) == 1
    assert bed.troubles(OTHER[before] if verb == "resume" else before) == []
