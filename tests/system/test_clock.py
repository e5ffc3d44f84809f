"""A clock is wrong by an hour: on the hosts, on the controller, or from one moment to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dojo_deploy import app
from tests.e2e.fleet import QUICK
from tests.system.bed import FAKETIME, WEB, Bed
from tests.system.story import OTHER, deploying

FAST = {**QUICK, "batches": '[1, "100%"]', "prove": "off"}


def test_hosts_whose_clocks_are_wrong_by_an_hour_are_deployed_to_and_rolled_back(bed: Bed) -> None:
    before = bed.serving()
    for name, offset in (("web1", "+1h"), ("web2", "-1h"), ("lb1", "-1h"), ("db1", "+1h")):
        bed.set_clock(name, offset)

    story = deploying(bed.fleet, OTHER[before], probe=50)

    assert story.ended == ("done", 0), story.result.reason
    assert story.result.load and story.result.load.failures == 0, story.result.load
    assert bed.troubles(OTHER[before]) == []
    back = app.rollback(bed.fleet.inventory, overrides={"batches": '["100%"]', **_gate()})
    assert back.exit_code == 0, back.reason
    assert bed.answers() == dict.fromkeys(WEB, bed.fleet.release(before))
    assert bed.troubles(before) == []


@pytest.mark.parametrize("steps", [("+1h", "-1h"), pytest.param(("-1h", "+1h"), marks=pytest.mark.soak)])
def test_a_controller_whose_clock_jumps_within_the_run_ends_it_all_the_same(bed: Bed, steps: tuple[str, str]) -> None:
    before = bed.serving()
    stamp = bed.folder / "clock"
    stamp.write_text("+0")
    env = {
        **os.environ,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    words = [str(Path(sys.executable).with_name("dojo")), "deploy", "--ref", OTHER[before], "-i"]
    sets = [word for key, value in FAST.items() for word in ("--set", f"{key}={value}")]
    said = []
    with subprocess.Popen(
        [*words, str(bed.fleet.inventory), *sets],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout
        left = list(steps)
        for line in run.stdout:
            said.append(line)
            if left and "switch" in line:
                stamp.write_text(left.pop(0))

    assert run.returncode == 0, "".join(said)
    assert left == [], "".join(said)
    assert bed.troubles(OTHER[before]) == []


def _gate() -> dict[str, str]:
    return {key: value for key, value in FAST.items() if key.startswith("gate")}
