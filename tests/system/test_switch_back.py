"""The way back during standby: a switch, unless what stands by is not what it was; users stay on one colour."""

from __future__ import annotations

import signal

import pytest

from dojo_deploy import app
from dojo_deploy.events import StageStarted
from tests.e2e.colours import OTHER as BESIDE
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, at, deploying, going_back, loses_nothing

soak = pytest.mark.soak


def stands_by(bed: Bed) -> tuple[str, str]:
    """After a blue-green deployment: the ref that serves, and the one that stands by."""
    before = bed.serving()
    story = deploying(bed.fleet, OTHER[before], strategy="blue-green")
    assert story.ended == ("done", 0), story.result.reason
    assert bed.troubles(OTHER[before]) == []
    return OTHER[before], before


@soak
def test_a_standby_that_answers_no_more_gets_no_request(bed: Bed) -> None:
    now, _ = stands_by(bed)
    bed.machines["web2"].freeze(f"slots/{BESIDE[bed.live]}/current/server.js")

    story = going_back(bed.fleet, probe=50)

    assert story.ended == ("rolled back", 20), story.result.reason
    assert "look/web2" in story.result.reason, story.result.reason
    loses_nothing(story)
    release = bed.fleet.release(now)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(now) == []


@soak
def test_a_standby_that_lost_a_process_is_started_again_before_it_serves(bed: Bed) -> None:
    now, before = stands_by(bed)
    standby = BESIDE[bed.live]
    pm2 = "PATH=/mnt/bin:/usr/bin:/bin HOME=/home/deploy pm2 --silent"
    bed.machines["web2"].run(f"{pm2} delete tcgdojo-bed-{standby}-web", user="deploy")
    assert bed.answer("web2", slot=standby).startswith("no answer")

    story = going_back(bed.fleet, probe=50)

    assert story.ended == ("done", 0), story.result.reason
    loses_nothing(story)
    assert bed.troubles(before) == []
    assert bed.fleet.release(now)


@soak
@pytest.mark.parametrize("fault", ["cut", "frozen"])
def test_a_host_lost_before_the_way_back_is_named_and_users_stay_where_they_are(bed: Bed, fault: str) -> None:
    now, _ = stands_by(bed)
    host = bed.machines["web2"]
    (host.cut if fault == "cut" else lambda: host.freeze("sshd"))()

    done = bed.fleet.invoke("rollback", within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "web2" in done.stderr, done.stderr
    release = bed.fleet.release(now)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(now) == []


@soak
@pytest.mark.parametrize("stage", ["look", "switch", "begin workers"])
def test_a_host_cut_off_within_the_way_back_leaves_users_on_one_colour(bed: Bed, stage: str) -> None:
    now, _ = stands_by(bed)
    host = bed.machines["web2"]

    story = going_back(bed.fleet, (at(StageStarted, stage=stage), host.cut))

    assert story.ended in (("rolled back", 20), ("mixed", 30)), story.result.reason
    assert "web2" in story.result.reason + story.warnings
    release = bed.fleet.release(now)
    assert bed.answers(slot=bed.live) == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    host.plug_in()
    if story.ended[1] == 30:
        assert app.abort(bed.fleet.inventory).verdict == "aborted"
    assert bed.troubles(now) == []


@soak
def test_a_host_whose_daemon_died_during_standby_serves_again_by_the_way_back(bed: Bed) -> None:
    now, before = stands_by(bed)
    assert bed.machines["web2"].send(signal.SIGKILL, "God Daemon") == 1
    assert set(bed.through()) == {bed.fleet.release(now)}

    story = going_back(bed.fleet, probe=50)

    assert story.ended == ("done", 0), story.result.reason
    loses_nothing(story)
    assert bed.troubles(before) == []
