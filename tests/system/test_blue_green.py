"""Blue-green under the same faults: wherever one strikes, users are on one colour, and it is known which."""

from __future__ import annotations

import signal
import threading

import pytest

from dojo_deploy import app
from dojo_deploy.errors import DojoError
from dojo_deploy.events import StageStarted, StepStarted
from tests.e2e.colours import OTHER as BESIDE
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, Story, at, begins, counting, deploying, loses_nothing, within
from tests.system.test_disk_full import forget

soak = pytest.mark.soak


def test_debians_nginx_switches_there_and_back_without_a_lost_request(bed: Bed) -> None:
    before, blue = bed.serving(), bed.live

    story = deploying(bed.fleet, OTHER[before], strategy="blue-green", probe=200)

    assert story.ended == ("done", 0), story.result.reason
    loses_nothing(story)
    assert bed.troubles(OTHER[before]) == [] and bed.live == BESIDE[blue]
    assert bed.answers(slot=blue) == dict.fromkeys(WEB, bed.fleet.release(before)), "the standby"
    back = app.rollback(bed.fleet.inventory)
    assert back.exit_code == 0, back.reason
    assert bed.troubles(before) == [] and bed.live == blue


@soak
@pytest.mark.parametrize("stage", ["prepare", "start", "end workers", "begin workers"])
def test_a_host_cut_off_within_a_step_leaves_all_users_on_the_old_colour(bed: Bed, stage: str) -> None:
    before, host = bed.serving(), bed.machines["web2"]

    story = deploying(bed.fleet, OTHER[before], (begins(stage, "web2"), host.cut), strategy="blue-green", probe=50)

    # With no session open ahead its job is never sent, and then it is known that nothing began there.
    unsent = stage == "start" and "no connection" in story.result.reason
    _stayed(bed, story, before, ("rolled back", 20) if unsent else ("mixed", 30))
    assert "web2" in story.result.reason + story.warnings
    host.plug_in()
    if unsent:
        # It could not be told that the run has ended: the next one does.
        assert deploying(bed.fleet, OTHER[before], strategy="blue-green").ended == ("done", 0)
        assert bed.troubles(OTHER[before]) == []
        return
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    _alone(bed, before)


@soak
@pytest.mark.parametrize("fault", ["cut", "frozen"])
def test_a_host_that_cannot_be_reached_before_the_run_is_named(bed: Bed, fault: str) -> None:
    before, host = bed.serving(), bed.machines["web2"]
    (host.cut if fault == "cut" else lambda: host.freeze("sshd"))()

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], "--strategy", "blue-green", within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "web2" in done.stderr, done.stderr
    assert bed.answers() == dict.fromkeys(WEB, bed.fleet.release(before))
    bed.heal()
    _alone(bed, before)


@pytest.mark.parametrize(
    "fault", ["session", *(pytest.param(one, marks=soak) for one in ("sshd", "frozen", "stopped"))]
)
def test_a_step_whose_connection_is_lost_for_a_while_runs_once_and_the_run_goes_on(bed: Bed, fault: str) -> None:
    before, host = bed.serving(), bed.machines["web2"]
    bed.counted()

    def strike() -> None:
        if fault == "session":
            assert host.send(signal.SIGKILL, "sshd: deploy")
        elif fault == "sshd":
            host.run("pkill -KILL -x sshd; ! pgrep -x sshd")
            threading.Timer(1.0, bed.heal).start()
        elif fault == "stopped":
            host.freeze("sshd: deploy")
        else:
            host.freeze()
            threading.Timer(4.0, host.thaw).start()

    story = deploying(
        bed.fleet,
        OTHER[before],
        (within("web2"), strike),
        strategy="blue-green",
        # Who listens to a session that is stopped gives it up once its step must have ended.
        hooks=counting(phase="prepare", deadline="3s" if fault == "stopped" else "60s"),
        probe=50,
    )

    assert story.ended == ("done", 0), story.result.reason
    bed.heal()
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(OTHER[before]) == []


@soak
def test_a_host_that_freezes_for_good_leaves_all_users_on_the_old_colour(bed: Bed) -> None:
    before, host = bed.serving(), bed.machines["web2"]

    story = deploying(
        bed.fleet,
        OTHER[before],
        (within("web2"), host.freeze),
        strategy="blue-green",
        hooks=counting(phase="prepare", deadline="3s"),
    )

    assert story.ended == ("mixed", 30), story.result.reason
    assert story.seconds < 3 + 30 + 60
    old = bed.fleet.release(before)
    assert {bed.answer(name) for name in ("web1", "web3")} == {old}
    assert set(bed.through()) == {old}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    _alone(bed, before)


@soak
@pytest.mark.parametrize("fault", ["cut", "power"])
def test_a_host_lost_while_the_new_colour_is_watched_brings_users_back(bed: Bed, fault: str) -> None:
    before, blue, host = bed.serving(), bed.live, bed.machines["web2"]
    act = host.cut if fault == "cut" else lambda: bed.power_off("web2")
    watched = at(StageStarted, stage="watch")

    story = deploying(bed.fleet, OTHER[before], (watched, act), strategy="blue-green", watch="20s", gate__within="40s")

    assert story.ended == ("mixed", 30), story.result.reason
    assert "watch/web2" in story.result.reason, story.result.reason
    old = bed.fleet.release(before)
    assert {bed.answer(name, slot=blue) for name in ("web1", "web3")} == {old}
    assert set(bed.through()) == {old}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == "aborted"
    _alone(bed, before)


@soak
@pytest.mark.parametrize("verb", ["resume", "abort"])
def test_a_host_that_loses_its_power_while_the_colour_starts_is_brought_to_the_end(bed: Bed, verb: str) -> None:
    before = bed.serving()
    starts = begins("start", "web2")

    story = deploying(
        bed.fleet, OTHER[before], (starts, lambda: bed.power_off("web2")), strategy="blue-green", on_failure="halt"
    )

    assert story.ended == ("halted", 30), story.result.reason
    old = bed.fleet.release(before)
    assert bed.answers() == {"web1": old, "web3": old}
    assert set(bed.through()) == {old}
    bed.heal()
    ended = app.resume(bed.fleet.inventory) if verb == "resume" else app.abort(bed.fleet.inventory)
    assert ended.exit_code == 0, ended.reason
    assert bed.troubles(OTHER[before] if verb == "resume" else before) == []


@soak
def test_a_host_whose_room_goes_while_a_release_arrives_keeps_nothing_of_it(bed: Bed) -> None:
    before = bed.serving()
    forget(bed, "web2", OTHER[before])
    fills = (at(StageStarted, stage="prepare"), lambda: bed.fill("web2", but=300))

    story = deploying(bed.fleet, OTHER[before], fills, strategy="blue-green", probe=50)

    _stayed(bed, story, before, ("rolled back", 20))
    assert "No space left" in story.result.reason, story.result.reason
    bed.heal()
    _alone(bed, before)


@soak
@pytest.mark.parametrize("moment", ["before", "start", "begin workers"])
def test_a_daemon_of_pm2_that_dies_is_started_again_with_the_new_colour(bed: Bed, moment: str) -> None:
    before, blue, host = bed.serving(), bed.live, bed.machines["web2"]

    def kill() -> None:
        # In its cluster mode the daemon's end is that of all its processes, of both colours.
        assert host.send(signal.SIGKILL, "God Daemon") == 1

    acts = [] if moment == "before" else [(begins(moment, "web2"), kill)]
    if moment == "before":
        kill()
    story = deploying(bed.fleet, OTHER[before], *acts, strategy="blue-green", probe=50)

    loses_nothing(story)
    if moment == "begin workers":
        # The new colour served already and has lost a host, so that users went back to the old one.
        assert story.ended[1] in (20, 30), story.result.reason
        assert set(bed.through()) == {bed.fleet.release(before)}
    else:
        assert story.ended == ("done", 0), story.result.reason
        assert bed.troubles(OTHER[before]) == []
        assert bed.answer("web2", slot=blue) == "no answer: ConnectionRefusedError", "no standby there"
    bed.settle()


@soak
def test_hosts_whose_clocks_are_wrong_by_an_hour_switch_there_and_back(bed: Bed) -> None:
    before = bed.serving()
    for name, offset in (("web1", "+1h"), ("web2", "-1h"), ("lb1", "-1h"), ("db1", "+1h")):
        bed.set_clock(name, offset)

    story = deploying(bed.fleet, OTHER[before], strategy="blue-green", probe=50)

    assert story.ended == ("done", 0), story.result.reason
    assert bed.troubles(OTHER[before]) == []
    back = app.rollback(bed.fleet.inventory)
    assert back.exit_code == 0, back.reason
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("fault", ["dies", "is cut off", "refuses"])
def test_a_balancer_lost_at_the_switch_leaves_users_on_one_colour_that_is_known(bed: Bed, fault: str) -> None:
    before, balancer = bed.serving(), bed.machines["lb1"]
    act = {
        "dies": lambda: balancer.run("pkill -KILL -x nginx"),
        "is cut off": balancer.cut,
        "refuses": lambda: balancer.run("echo 'server {' >>/etc/nginx/nginx.conf"),
    }[fault]

    story = deploying(bed.fleet, OTHER[before], (at(StepStarted, name="switch"), act), strategy="blue-green")

    assert story.ended[1] in (20, 30), story.result.reason
    bed.heal()
    assert set(bed.through()) == {bed.fleet.release(before)}
    if story.ended[1] == 30:
        assert app.abort(bed.fleet.inventory).verdict == "aborted"
    _alone(bed, before)


@soak
@pytest.mark.parametrize(("fault", "verb"), [("store", "abort"), ("network", "resume")])
def test_who_cannot_renew_the_lock_changes_nothing_more_until_somebody_goes_on(bed: Bed, fault: str, verb: str) -> None:
    before = bed.serving()
    cut = bed.machines["db1"].cut if fault == "store" else lambda: bed.rack.controller(up=False)
    try:
        story = deploying(
            bed.fleet, OTHER[before], (within("web1"), cut), strategy="blue-green", hooks=counting(8, phase="prepare")
        )
        code = story.ended[1]
    except DojoError as exc:
        code = exc.exit_code

    assert code in (12, 30)
    bed.heal()
    assert set(bed.through()) == {bed.fleet.release(before)}
    ended = app.resume(bed.fleet.inventory) if verb == "resume" else app.abort(bed.fleet.inventory)
    assert ended.exit_code == 0, ended.reason
    if verb == "resume":
        assert bed.troubles(OTHER[before]) == []
    else:
        _alone(bed, before)


def _stayed(bed: Bed, story: Story, before: str, ended: tuple[str, int]) -> None:
    """Users noticed nothing, and all of them have the old release."""
    assert story.ended == ended, story.result.reason
    loses_nothing(story)
    old = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, old)
    assert set(bed.through()) == {old}


def _alone(bed: Bed, before: str) -> None:
    """The old release serves from every host, and nothing of the other colour was left running."""
    assert bed.troubles(before) == []
    assert bed.answers(slot=BESIDE[bed.live]) == dict.fromkeys(WEB, "no answer: ConnectionRefusedError")
