"""A host's cable is pulled: before a run, in the middle of a step, while it is drained."""

from __future__ import annotations

import pytest

from dojo_deploy import app
from dojo_deploy.events import StepStarted
from tests.system.bed import Bed
from tests.system.story import OTHER, at, counting, deploying, within

SLACK = 10.0  # seconds that a run may take beyond its declared deadlines


@pytest.mark.parametrize("fault", ["cut", "frozen", "killed"])
def test_a_host_that_cannot_be_reached_before_the_run_is_named_and_nothing_is_changed(bed: Bed, fault: str) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    {"cut": host.cut, "frozen": lambda: host.freeze("sshd"), "killed": lambda: host.run("pkill sshd")}[fault]()

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "web2" in done.stderr, done.stderr
    release = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(("web1", "web2", "web3"), release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(before) == []


def test_a_host_cut_off_within_a_step_stays_as_it_is_and_the_others_go_back(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    bed.counted()

    story = deploying(bed.fleet, OTHER[before], (within("web2"), host.cut), hooks=counting())

    old = bed.fleet.release(before)
    assert story.ended == ("mixed", 30), story.result.reason
    assert "web2" in story.warnings
    assert bed.answers() == {"web1": old, "web2": old, "web3": old}
    assert set(bed.through()) == {old}
    host.plug_in()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(before) == []


def test_a_host_cut_off_while_it_is_drained_gets_no_requests_until_it_was_asked(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web2"]

    story = deploying(bed.fleet, OTHER[before], (at(StepStarted, step="batch 2 of 2/web2/drain"), host.cut), probe=50)

    old = bed.fleet.release(before)
    assert story.ended == ("mixed", 30), story.result.reason
    assert bed.answers() == {"web1": old, "web2": old, "web3": old}
    assert set(bed.through()) == {old}
    assert bed.fleet.census().rows["web2"]["balancer"] == "drained"
    assert story.result.load and story.result.load.failures == 0
    host.plug_in()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []
