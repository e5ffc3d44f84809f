"""The balancer's nginx, Debian's 1.22, refuses, dies, is cut off, or may not be told: in the middle of a run."""

from __future__ import annotations

import pytest

from dojo_deploy import app
from dojo_deploy.events import StageStarted, StepStarted
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, at, deploying

soak = pytest.mark.soak
SECOND = at(StageStarted, stage="batch 2 of 2")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("echo 'server {' >>/etc/nginx/nginx.conf", "unexpected end of file"),
        pytest.param("echo 'deploy ALL=(root) /usr/sbin/nginx' >/etc/sudoers.d/dojo", "password", marks=soak),
    ],
    ids=["a configuration that it refuses", "sudo asks for a password"],
)
@pytest.mark.parametrize("moment", [pytest.param("before", marks=soak), "within"])
def test_an_nginx_that_cannot_be_told_goes_on_serving_the_old_release(
    bed: Bed, fault: str, words: str, moment: str
) -> None:
    before = bed.serving()
    balancer = bed.machines["lb1"]
    if moment == "before":
        balancer.run(fault)

    acts = [(SECOND, lambda: balancer.run(fault))] if moment == "within" else []
    story = deploying(bed.fleet, OTHER[before], *acts, probe=50)

    # What was changed before nginx stopped listening cannot be put back through it.
    assert story.ended == (("rolled back", 20) if moment == "before" else ("mixed", 30)), story.result.reason
    assert words in story.result.reason, story.result.reason
    assert story.result.load and story.result.load.failures == 0, story.result.load
    old, new = bed.fleet.release(before), bed.fleet.release(OTHER[before])
    assert {bed.answer(name) for name in ("web2", "web3")} == {old}
    assert set(bed.through()) <= {old, new}
    bed.heal()
    if moment == "within":
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
