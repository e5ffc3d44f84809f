"""There, back, and there again under three loads at once: our prober's, and those of wrk, kept-alive and fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy import app
from tests.balancers.loads import RunningWrk
from tests.e2e.colours import OTHER, Colours, without_loss

pytestmark = pytest.mark.soak

AT_LEAST = 20_000
PACED = "function delay() return 20 end\n"  # milliseconds: a wrk at full speed would leave nobody a processor


def test_no_request_of_20_000_is_lost_over_there_back_and_there_again(pair: Colours, tmp_path: Path) -> None:
    pair.alone("v1")
    live, first = pair.record.live, pair.release("v1")
    script = tmp_path / "paced.lua"
    script.write_text(PACED)
    url = f"{pair.site.url}/health"
    loads = {
        name: RunningWrk(url, connections=8, keep=name == "kept-alive", lasting=600, script=script)
        for name in ("kept-alive", "fresh")
    }
    try:
        there = pair.bring("v2", probe=400, at_least=8000)
        pair.stand(OTHER[live], there.result.release, standby=first)
        back = pair.back(probe=400, at_least=6000)
        pair.stand(live, first, standby=there.result.release)
        again = pair.bring("v2", probe=400, at_least=8000)
        pair.stand(OTHER[live], there.result.release, standby=first)
    finally:
        seen = {name: load.result() for name, load in loads.items()}

    probed = [watched.result.load for watched in (there, back, again)]
    total = sum(load.requests for load in probed if load)
    print({"prober": total, **{name: (load.requests, load.failed) for name, load in seen.items()}})
    for watched in (there, back, again):
        without_loss(watched, at_least=6000)
    assert total >= AT_LEAST
    for name, load in seen.items():
        assert load.failed == 0 and load.requests >= AT_LEAST, (name, load.said)
    assert [run["verdict"] for run in app.history(pair.inventory)[:3]] == ["done"] * 3
