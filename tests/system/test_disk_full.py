"""No room is left: on a host, before and within a run, and on the controller itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.events import StageStarted
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, at, counting, deploying, within

soak = pytest.mark.soak


def test_a_host_without_room_is_refused_before_anything_is_changed(bed: Bed) -> None:
    before = bed.serving()
    forget(bed, "web2", OTHER[before])
    bed.fill("web2", but=100)

    done = bed.fleet.invoke("deploy", "--ref", OTHER[before], within=60)

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
def test_a_host_without_room_for_its_record_begins_nothing_and_serves_what_it_served(bed: Bed) -> None:
    before = bed.serving()
    bed.counted()

    story = deploying(bed.fleet, OTHER[before], (within("web2"), lambda: bed.fill("web2")), hooks=counting())

    # What its jobs leave when they end may be room enough to ask it how it is.
    assert story.ended in (("rolled back", 20), ("mixed", 30)), story.result.reason
    assert "No space left" in story.result.reason, story.result.reason
    old = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, old)
    assert set(bed.through()) == {old}
    bed.heal()
    assert app.abort(bed.fleet.inventory).verdict == ("nothing to do" if story.ended[1] == 20 else "aborted")
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(before) == []


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
