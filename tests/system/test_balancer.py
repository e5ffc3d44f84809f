"""The balancer's nginx, Debian's 1.22, refuses, dies, is cut off, or may not be told: in the middle of a run."""

from __future__ import annotations

import pytest

from dojo_deploy import app
from dojo_deploy.events import StageStarted, StepStarted
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, at, deploying, loses_nothing

soak = pytest.mark.soak
SECOND = at(StageStarted, stage="batch 2 of 2")


FAULTS = [
    pytest.param("echo 'server {' >>/etc/nginx/nginx.conf", "directive is not allowed here", id="configuration"),
    pytest.param(
        "echo 'deploy ALL=(root) /usr/sbin/nginx' >/etc/sudoers.d/dojo", "password is required", id="sudo", marks=soak
    ),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_an_nginx_that_could_not_be_told_is_named_before_anything_is_changed(bed: Bed, fault: str, words: str) -> None:
    before = bed.serving()
    bed.machines["lb1"].run(fault)

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert words in done.stderr, done.stderr
    release = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_an_nginx_that_can_be_told_no_more_goes_on_serving_both_releases(bed: Bed, fault: str, words: str) -> None:
    before = bed.serving()

    story = deploying(bed.fleet, OTHER[before], (SECOND, lambda: bed.machines["lb1"].run(fault)), probe=50)

    # The first host has the new release, and cannot be drained to be put back.
    assert story.ended == ("mixed", 30), story.result.reason
    assert words in story.result.reason, story.result.reason
    loses_nothing(story)
    old, new = bed.fleet.release(before), bed.fleet.release(OTHER[before])
    assert bed.answers() == {"web1": new, "web2": old, "web3": old}
    assert set(bed.through()) == {old, new}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []


@soak
def test_an_nginx_that_dies_within_the_run_is_named_and_what_it_served_comes_back(bed: Bed) -> None:
    before = bed.serving()
    balancer = bed.machines["lb1"]
    restores = at(StepStarted, host="web1", name="restore")

    story = deploying(bed.fleet, OTHER[before], (restores, lambda: balancer.run("pkill -KILL -x nginx")))

    assert story.ended == ("mixed", 30), story.result.reason
    assert "nginx does not run" in story.result.reason, story.result.reason
    assert set(bed.through(3)) == {"no answer: ConnectionRefusedError"}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("verb", ["drain", "restore"])
def test_a_balancer_that_is_cut_off_is_asked_when_it_is_back(bed: Bed, verb: str) -> None:
    before = bed.serving()
    balancer = bed.machines["lb1"]

    story = deploying(bed.fleet, OTHER[before], (at(StepStarted, host="web1", name=verb), balancer.cut))

    assert story.ended == ("mixed", 30), story.result.reason
    assert "lb1" in story.result.reason, story.result.reason
    balancer.plug_in()
    old, new = bed.fleet.release(before), bed.fleet.release(OTHER[before])
    assert bed.answers() in (dict.fromkeys(WEB, old), dict.fromkeys(WEB, old) | {"web1": new})
    assert set(bed.through()) == {old}
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []
