"""A clock is wrong by an hour: on the hosts, on the controller, or from one moment to the next."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dojo_deploy import app
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, PATIENCE, QUICK, deploying, loses_nothing

# The program under a clock that this test sets, as its own modules and its libraries' see it. A preloaded libfaketime
# does not do: Python's sleep would fail under it.
DOJO = """
import pathlib, sys, time
offset, real = pathlib.Path(sys.argv.pop(1)), time.time
time.time = lambda: real() + float(offset.read_text() or 0)
time.time_ns = lambda: int(time.time() * 1e9)
from dojo_deploy.tasks.program import main
main()
"""


@pytest.mark.parametrize("back", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_hosts_whose_clocks_are_wrong_by_an_hour_are_deployed_to_and_rolled_back(bed: Bed, back: bool) -> None:
    before = bed.serving()
    for name, offset in (("web1", "+1h"), ("web2", "-1h"), ("lb1", "-1h"), ("db1", "+1h")):
        bed.set_clock(name, offset)

    story = deploying(bed.fleet, OTHER[before], probe=50)

    assert story.ended == ("done", 0), story.result.reason
    loses_nothing(story)
    assert bed.troubles(OTHER[before]) == []
    if back:
        result = app.rollback(bed.fleet.inventory, overrides={"batches": '["100%"]', **PATIENCE})
        assert result.exit_code == 0, result.reason
        assert bed.answers() == dict.fromkeys(WEB, bed.fleet.release(before))
        assert bed.troubles(before) == []


@pytest.mark.soak
@pytest.mark.parametrize("jumps", [(3600, -3600), (-3600, 3600)])
def test_a_controller_whose_clock_jumps_within_the_run_ends_it_all_the_same(bed: Bed, jumps: tuple[int, int]) -> None:
    before = bed.serving()
    offset = bed.folder / "offset"
    offset.write_text("0")
    sets = [word for key, value in QUICK["rolling"].items() for word in ("--set", f"{key}={value}")]
    words = ["deploy", "--ref", OTHER[before], "-i", str(bed.fleet.inventory), *sets]
    said, left = [], list(jumps)
    with subprocess.Popen(
        [sys.executable, "-c", DOJO, str(offset), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout
        for line in run.stdout:
            said.append(line)
            if left and "drain" in line:
                offset.write_text(str(left.pop(0)))

    assert run.returncode == 0, "".join(said)
    assert left == [], "".join(said)
    assert bed.troubles(OTHER[before]) == []
