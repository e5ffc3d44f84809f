"""Twenty thousand requests and more through Debian's nginx while users go to another colour, back, and there again."""

from __future__ import annotations

import pytest

from dojo_deploy.prober import Prober
from tests.balancers.loads import RunningWrk
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, deploying, going_back

AT_LEAST = 20_000


@pytest.mark.soak
def test_there_and_back_and_there_again_loses_no_request_of_anybody(bed: Bed) -> None:
    """The prober keeps nine connections in ten alive; one wrk keeps all of its own, another none."""
    before, blue = bed.serving(), bed.live
    old = bed.fleet.release(before)
    url = f"{bed.url}/health"
    prober = Prober.start(url, work=bed.folder / "load", field="release", rate=600, connections=16)
    loads = {keep: RunningWrk(url, connections=4, keep=keep, lasting=600) for keep in (True, False)}
    try:
        there = deploying(bed.fleet, OTHER[before], strategy="blue-green")
        prober.mark("back")
        back = going_back(bed.fleet)
        prober.mark("again")
        again = deploying(bed.fleet, OTHER[before], strategy="blue-green")
    finally:
        seen = prober.stop(at_least=AT_LEAST, within=60)
        kept, closed = loads[True].result(), loads[False].result()

    for story in (there, back, again):
        assert story.ended == ("done", 0), story.result.reason
    assert back.result.plan and [stage.name for stage in back.result.plan.stages][:2] == ["look", "switch"]
    print(f"prober: {seen.failures} failed of {seen.requests}, p95 {seen.p95_ms:.1f} ms, {seen.skipped} not sent")
    print(f"wrk, kept alive: {kept.failed} failed of {kept.requests}; closing: {closed.failed} of {closed.requests}")
    print(f"deploy {there.seconds:.1f} s, back {back.seconds:.1f} s, again {again.seconds:.1f} s")
    assert (seen.failures, seen.errors) == (0, {}) and seen.requests >= AT_LEAST
    assert kept.failed == 0 and kept.requests >= AT_LEAST, kept.said
    assert closed.failed == 0 and closed.requests >= AT_LEAST, closed.said
    assert set(seen.answers) == {old, bed.fleet.release(OTHER[before])}
    assert bed.troubles(OTHER[before]) == [] and bed.live != blue
    assert bed.answers(slot=blue) == dict.fromkeys(WEB, old), "the standby"
