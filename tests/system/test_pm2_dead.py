"""PM2's daemon is gone, or knows nothing any more: before a run, and while it is asked to reload."""

from __future__ import annotations

import signal

import pytest

from dojo_deploy.events import StepStarted
from tests.system.bed import WEB, Bed
from tests.system.setup import USER
from tests.system.story import OTHER, at, deploying, loses_nothing

DAEMON = "God Daemon"
soak = pytest.mark.soak


@pytest.mark.parametrize("fault", ["daemon", pytest.param("list", marks=soak), pytest.param("home", marks=soak)])
def test_a_host_whose_pm2_runs_nothing_goes_first_and_is_started_anew(bed: Bed, fault: str) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    if fault == "daemon":
        assert host.send(signal.SIGKILL, DAEMON) == 1
    else:
        pm2 = "PATH=/mnt/bin:/usr/bin:/bin HOME=/home/deploy pm2 --silent"
        host.run(f"{pm2} delete all >/dev/null; {pm2} kill >/dev/null", user=USER)
        host.run("rm -rf /home/deploy/.pm2" if fault == "home" else ":")

    story = deploying(bed.fleet, OTHER[before], probe=50, order="unhealthy-first")

    assert story.ended == ("done", 0), story.result.reason
    assert [stage.hosts for stage in story.of(type(story.events[0])) if stage.stage == "batch 1 of 2"] == [("web2",)]
    assert bed.troubles(OTHER[before]) == []


@soak
@pytest.mark.parametrize("name", ["web1", "web2"])
def test_a_daemon_that_dies_while_it_reloads_ends_with_one_release_everywhere(bed: Bed, name: str) -> None:
    before = bed.serving()
    host = bed.machines[name]

    def kill() -> None:
        assert host.send(signal.SIGKILL, DAEMON) == 1

    story = deploying(bed.fleet, OTHER[before], (at(StepStarted, host=name, name="switch"), kill), probe=50)

    assert story.ended in (("done", 0), ("rolled back", 20)), story.result.reason
    loses_nothing(story)
    release = bed.fleet.release(OTHER[before] if story.result.ok else before)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert bed.troubles(OTHER[before] if story.result.ok else before) == []
