"""No room is left: on a host, before and within a run, and on the controller itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.errors import DojoError
from dojo_deploy.events import StageStarted, StepStarted
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, at, counting, deploying, loses_nothing, within

soak = pytest.mark.soak
# What programs say, and what dash's own echo makes of it.
NO_ROOM = ("No space left", "I/O error")


@pytest.mark.parametrize("strategy", ["rolling", pytest.param("blue-green", marks=soak)])
def test_a_host_without_room_is_refused_before_anything_is_changed(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    forget(bed, "web2", OTHER[before])
    bed.fill("web2", but=100)

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], "--strategy", strategy, within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "web2 has 0 MiB free" in done.stderr, done.stderr
    assert bed.answers() == dict.fromkeys(WEB, bed.fleet.release(before))
    bed.heal()
    assert bed.troubles(before) == []


def test_a_host_whose_room_goes_while_a_release_arrives_keeps_the_old_one_and_no_rest(bed: Bed) -> None:
    before = bed.serving()
    forget(bed, "web2", OTHER[before])

    # Room enough for the record of the run, and not for the release.
    story = deploying(bed.fleet, OTHER[before], (at(StageStarted, stage="prepare"), lambda: bed.fill("web2", but=300)))

    assert story.ended == ("rolled back", 20), story.result.reason
    assert "No space left" in story.result.reason, story.result.reason
    assert bed.answers() == dict.fromkeys(WEB, bed.fleet.release(before))
    bed.heal()
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_balancer_without_room_keeps_what_it_serves(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    name = "restore" if strategy == "rolling" else "switch"
    fills = (at(StepStarted, name=name), lambda: bed.fill("lb1"))

    story = deploying(bed.fleet, OTHER[before], fills, strategy=strategy, probe=50)

    # A host that is drained cannot be put back; a switch that was never made has nothing to put back.
    assert story.ended == (("mixed", 30) if strategy == "rolling" else ("rolled back", 20)), story.result.reason
    assert any(words in story.result.reason for words in NO_ROOM), story.result.reason
    loses_nothing(story)
    assert set(bed.through()) == {bed.fleet.release(before)}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == ("aborted" if strategy == "rolling" else "nothing to do")
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_store_without_room_ends_the_run_with_one_release_for_users(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    phase, stage = ("batch", "batch 1 of 2") if strategy == "rolling" else ("prepare", "prepare")

    try:
        # Longer than the lease is trusted without a beat.
        story = deploying(
            bed.fleet,
            OTHER[before],
            (within("web1"), lambda: bed.fill("db1")),
            strategy=strategy,
            hooks=counting(8, phase=phase),
        )
        code = story.ended[1]
    except DojoError as exc:
        code = exc.exit_code

    assert code in (12, 30), stage
    assert set(bed.through()) == {bed.fleet.release(before)}
    bed.heal()
    assert app.abort(bed.fleet.inventory).exit_code == 0
    assert bed.troubles(before) == []


@soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_host_without_room_for_its_record_begins_nothing_and_serves_what_it_served(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    bed.counted()

    phase = "batch" if strategy == "rolling" else "prepare"

    story = deploying(
        bed.fleet,
        OTHER[before],
        (within("web2"), lambda: bed.fill("web2")),
        strategy=strategy,
        hooks=counting(phase=phase),
    )

    # What its jobs leave when they end may be room enough to ask it how it is.
    assert story.ended in (("rolled back", 20), ("mixed", 30)), story.result.reason
    assert any(words in story.result.reason for words in NO_ROOM), story.result.reason
    old = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, old)
    assert set(bed.through()) == {old}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == ("nothing to do" if story.ended[1] == 20 else "aborted")
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    # It may not have been able to note that the run has ended: the next one sees to that.
    assert deploying(bed.fleet, OTHER[before], strategy=strategy).ended == ("done", 0)
    assert bed.troubles(OTHER[before]) == []


def test_a_controller_that_cannot_keep_its_journal_changes_nothing(bed: Bed) -> None:
    before = bed.serving()
    folder = bed.folder / ".dojo" / "runs"
    assert folder.is_dir()
    line = 'mount -t tmpfs -o size=4k none "$1" && fallocate -l 4KiB "$1/ballast" && shift && exec "$@"'
    dojo = [str(Path(sys.executable).with_name("dojo")), "deploy", "--ref", OTHER[before]]

    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", line, "sh", str(folder), *dojo, "-i", str(bed.fleet.inventory)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ},
    )

    assert done.returncode == 10, done.stdout + done.stderr
    assert "No space left" in done.stderr, done.stderr
    assert bed.troubles(before) == []


def forget(bed: Bed, host: str, ref: str) -> None:
    """Takes a release that does not run off a host, so that it has to be brought again."""
    if release := bed.fleet.release(ref):
        bed.machines[host].run(f"rm -rf /srv/tcgdojo/releases/{release}")
