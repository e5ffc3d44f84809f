"""A host is cut off, frozen, or loses its sshd or its power: before a run, within a step, while it is drained."""

from __future__ import annotations

import signal
import threading

import pytest

from dojo_deploy import app
from dojo_deploy.events import StepStarted
from tests.system.bed import WEB, Bed
from tests.system.setup import USER
from tests.system.story import OTHER, Story, at, counting, deploying, loses_nothing, within

soak = pytest.mark.soak


@pytest.mark.parametrize("fault", [pytest.param("cut", marks=soak), "frozen", "killed"])
def test_a_host_that_cannot_be_reached_before_the_run_is_named_and_nothing_is_changed(bed: Bed, fault: str) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    {"cut": host.cut, "frozen": lambda: host.freeze("sshd"), "killed": lambda: host.run("pkill sshd")}[fault]()

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "web2" in done.stderr, done.stderr
    release = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("name", ["web1", "web2"])
def test_a_host_cut_off_within_a_step_stays_as_it_is_and_the_others_go_back(bed: Bed, name: str) -> None:
    before = bed.serving()
    bed.counted()

    story = deploying(bed.fleet, OTHER[before], (within(name), bed.machines[name].cut), hooks=counting())

    _is_lost(bed, story, name, before)
    bed.machines[name].plug_in()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1} | ({} if name == "web2" else {"web2": 0, "web3": 0})
    assert bed.troubles(before) == []


@pytest.mark.parametrize("name", ["web1", pytest.param("web2", marks=soak)])
def test_a_host_cut_off_while_it_is_drained_gets_no_requests_until_it_was_asked(bed: Bed, name: str) -> None:
    before = bed.serving()
    drains = at(StepStarted, host=name, name="drain")

    story = deploying(bed.fleet, OTHER[before], (drains, bed.machines[name].cut), probe=50)

    _is_lost(bed, story, name, before)
    assert bed.fleet.census().rows[name]["balancer"] == "drained"
    loses_nothing(story)
    bed.machines[name].plug_in()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("restarted", [False, True])
def test_a_step_whose_sshd_is_killed_runs_once_and_its_end_is_known(bed: Bed, restarted: bool) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    bed.counted()

    def kill() -> None:
        if restarted:
            host.run("pkill -KILL -x sshd; ! pgrep -x sshd")
            threading.Timer(1.0, bed.heal).start()
        else:
            assert host.send(signal.SIGKILL, "sshd: deploy")

    story = deploying(bed.fleet, OTHER[before], (within("web2"), kill), hooks=counting())

    assert story.ended == ("done", 0), story.result.reason
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(OTHER[before]) == []


@soak
def test_a_host_that_freezes_for_a_while_within_a_step_delays_the_run_and_no_more(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    bed.counted()

    def freeze() -> None:
        host.freeze()
        threading.Timer(4.0, host.thaw).start()

    story = deploying(bed.fleet, OTHER[before], (within("web2"), freeze), hooks=counting())

    assert story.ended == ("done", 0), story.result.reason
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(OTHER[before]) == []


@soak
def test_a_step_whose_session_freezes_is_asked_for_over_another_one(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web1"]
    bed.counted()

    story = deploying(
        bed.fleet,
        OTHER[before],
        (within("web1"), lambda: host.freeze("sshd: deploy")),
        hooks=counting(deadline="3s"),
    )

    assert story.ended == ("done", 0), story.result.reason
    assert story.seconds < 3 + 30 + 20
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    bed.heal()
    assert bed.troubles(OTHER[before]) == []


@soak
def test_a_host_that_freezes_for_good_within_a_step_is_given_up_in_time(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web2"]
    bed.counted()

    story = deploying(bed.fleet, OTHER[before], (within("web2"), host.freeze), hooks=counting(deadline="3s"))

    assert story.ended == ("mixed", 30), story.result.reason
    assert story.seconds < 3 + 30 + 60
    old = bed.fleet.release(before)
    assert {name: bed.answer(name) for name in ("web1", "web3")} == {"web1": old, "web3": old}
    assert set(bed.through()) == {old}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("verb", ["resume", "abort"])
def test_a_host_that_loses_its_power_within_a_switch_comes_back_and_is_brought_to_the_end(bed: Bed, verb: str) -> None:
    before = bed.serving()
    switches = at(StepStarted, host="web1", name="switch")

    story = deploying(bed.fleet, OTHER[before], (switches, lambda: bed.power_off("web1")), on_failure="halt")

    assert story.ended == ("halted", 30), story.result.reason
    old = bed.fleet.release(before)
    assert bed.answers() == {"web2": old, "web3": old}
    assert set(bed.through()) == {old}
    bed.heal()
    ended = app.resume(bed.fleet.inventory) if verb == "resume" else app.abort(bed.fleet.inventory)
    assert ended.exit_code == 0, ended.reason
    assert bed.troubles(OTHER[before] if verb == "resume" else before) == []


@soak
def test_a_host_that_comes_back_without_its_processes_gets_no_requests(bed: Bed) -> None:
    before = bed.serving()
    switches = at(StepStarted, host="web1", name="switch")
    deploying(bed.fleet, OTHER[before], (switches, lambda: bed.power_off("web1")), on_failure="halt")
    bed.rack.on_disks("mv web1/home/deploy/.pm2/dump.pm2 web1/kept")
    bed.heal()

    ended = app.abort(bed.fleet.inventory)

    assert (ended.verdict, ended.exit_code) == ("mixed", 30), ended.reason
    assert bed.fleet.census().rows["web1"]["balancer"] == "drained"
    assert set(bed.through()) == {bed.fleet.release(before)}
    host = bed.machines["web1"]
    host.run("mv /srv/kept /home/deploy/.pm2/dump.pm2")
    host.run("PATH=/mnt/bin:/usr/bin:/bin HOME=/home/deploy pm2 resurrect >/dev/null", user=USER)
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(before) == []


def _is_lost(bed: Bed, story: Story, name: str, before: str) -> None:
    """The run ended because of `name`, which nothing was done to; all hosts serve `before`."""
    assert story.ended == ("mixed", 30), story.result.reason
    assert name in story.warnings
    old = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, old)
    assert set(bed.through()) == {old}
