"""Health that flaps, drips or freezes: no gate takes it for good, and none waits for it longer than it said."""

from __future__ import annotations

import pytest

from dojo_deploy.events import GateFailed, GateRead, StageStarted, StepFinished
from tests.e2e.colours import OTHER as BESIDE
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, Story, at, deploying, loses_nothing

soak = pytest.mark.soak


@pytest.mark.parametrize(
    ("ref", "strategy"),
    [
        ("flaps", "blue-green"),
        pytest.param("flaps", "rolling", marks=soak),
        pytest.param("drips", "blue-green", marks=soak),
        pytest.param("drips", "rolling", marks=soak),
    ],
)
def test_health_that_flaps_or_never_ends_its_answer_is_given_up_at_the_deadline(
    bed: Bed, ref: str, strategy: str
) -> None:
    before = bed.serving()

    story = deploying(
        bed.fleet, ref, strategy=strategy, probe=50, gate__in_a_row="3", gate__grace="1s", gate__within="6s"
    )

    _kept(bed, story, before)
    readings = [event for event in story.of(GateRead) if event.probe == "health"]
    if ref == "flaps":
        assert {event.ok for event in readings} == {True, False}, "it was well now and then"
    failed = story.of(GateFailed)
    assert failed and all(5 < event.seconds < 6 + 5 for event in failed), failed


@soak
@pytest.mark.parametrize("ref", ["v3", "v5", "v6"])
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_faulty_release_is_undone_and_users_notice_nothing(bed: Bed, ref: str, strategy: str) -> None:
    before = bed.serving()

    story = deploying(bed.fleet, ref, strategy=strategy, probe=50)

    _kept(bed, story, before)


@soak
def test_processes_that_freeze_after_the_switch_fail_the_gate_and_are_replaced(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web1"]
    switched = at(StepFinished, host="web1", name="switch")

    story = deploying(
        bed.fleet,
        OTHER[before],
        (switched, lambda: host.freeze("server.js")),
        probe=50,
        gate__within="4s",
    )

    _kept(bed, story, before)


@soak
def test_a_colour_that_freezes_while_it_is_watched_is_switched_back_from(bed: Bed) -> None:
    before = bed.serving()
    watched = at(StageStarted, stage="watch")

    def freeze() -> None:
        for name in WEB:
            bed.machines[name].freeze(f"slots/{BESIDE[bed.live]}/current/server.js")

    story = deploying(
        bed.fleet,
        OTHER[before],
        (watched, freeze),
        strategy="blue-green",
        watch="20s",
        gate__grace="0s",
        gate__within="30s",
    )

    assert story.ended == ("rolled back", 20), story.result.reason
    assert "watch" in story.result.reason, story.result.reason
    bed.heal()
    assert bed.troubles(before) == []


def _kept(bed: Bed, story: Story, before: str) -> None:
    """Undone, and users had the old release throughout."""
    assert story.ended == ("rolled back", 20), story.result.reason
    loses_nothing(story)
    release = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    assert bed.troubles(before) == []
