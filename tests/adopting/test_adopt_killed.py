"""The controller dies in the middle of an adoption: from any other machine it goes on, or everything is given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy import app
from tests.adopting.bed import WEB, Bed, made
from tests.e2e.visitors import visiting

pytestmark = pytest.mark.soak
OLD = ("one", "old key", "by hand")
BY_HAND = {name: ["shop", "shop-jobs"] for name in WEB}
OURS = {name: ["corner-shop-production-blue-web", "corner-shop-production-blue-worker"] for name in WEB}


@pytest.fixture
def bed() -> Iterator[Bed]:
    with made() as found:
        yield found


@pytest.mark.parametrize(
    "seen", ["admit/web2/admit: done", "web1/drain: done", "web1/take over: done", "web2/drain: done", "finish starts"]
)
@pytest.mark.parametrize("then", ["resume", "abort"])
def test_a_controller_that_dies_leaves_a_run_that_ends_either_way(bed: Bed, seen: str, then: str) -> None:
    with visiting(bed.url) as visitors:
        _killed(bed, seen)
        (bed.folder / ".dojo").rename(bed.folder / "gone")
        if then == "resume":
            result = app.resume(bed.fleet.inventory)
            assert (result.verdict, result.exit_code) == ("done", 0), result.reason
        else:
            result = app.abort(bed.fleet.inventory)
            assert result.verdict == ("kept" if seen == "finish starts" and bed.names() == OURS else "aborted")

    assert bed.names() == (OURS if then == "resume" or result.verdict == "kept" else BY_HAND)
    assert bed.about() == {OLD} and bed.straight() == dict.fromkeys(WEB, OLD)
    assert {visit.status for visit in visitors.visits} == {200}


def _killed(bed: Bed, seen: str) -> None:
    """At once after the line that says `seen`."""
    words = [Path(sys.executable).with_name("dojo"), "adopt", "--checkout", "~/shop", "--set", "gate.grace=1s"]
    with subprocess.Popen(
        [*words, "-i", str(bed.fleet.inventory)],
        cwd=bed.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        told = []
        for line in process.stdout:
            told.append(line)
            if seen in line:
                process.send_signal(signal.SIGKILL)
                break
        else:
            raise AssertionError("".join(told))
