"""What hosts say and do that has nothing to do with the run: noise, floods, questions, children left behind."""

from __future__ import annotations

import resource
import signal
import threading
from typing import Any

import pytest

from dojo_deploy.events import OutputWritten, StepFinished
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, deploying, loses_nothing

MEBIBYTES = 60
LINES = {
    "bytes": r"printf '\377\376 caf\303\251 \303'; printf '\033[31mred\033[0m \a\n'",
    "flood": f"head -c {MEBIBYTES}M /dev/zero | tr '\\0' x; echo",
    "question": 'cat; read -r answer; echo "answer: $?"',
    "child": "sleep 300 & echo left",
    "frame": "echo 00000000000000000000000000000000 1 over",
}


@pytest.mark.soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_nothing_that_a_host_says_or_leaves_behind_changes_a_run(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    hooks: list[dict[str, Any]] = [
        {"name": name, "phase": "prepare", "when": "before", "on": "each", "run": line, "deadline": "60s"}
        for name, line in LINES.items()
    ]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    story = deploying(bed.fleet, OTHER[before], strategy=strategy, hooks=hooks)

    assert story.ended == ("done", 0), story.result.reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 2 * 1024 * MEBIBYTES
    said = {event.line for event in story.of(OutputWritten) if event.host == "web3" and "prepare" in event.step}
    assert {r"\xff\xfe café \xc3red \x07", "answer: 1", "left"} <= said
    assert bed.troubles(OTHER[before]) == []
    assert [bed.machines[name].send(signal.SIGTERM, "sleep 300") for name in WEB] == [1, 1, 1]


@pytest.mark.soak
def test_a_reader_of_the_link_never_finds_it_missing(bed: Bed) -> None:
    before = bed.serving()
    host = bed.machines["web1"]
    loop = (
        "cd /srv/tcgdojo/slots/blue; n=0; while [ ! -e /tmp/enough ]; do n=$((n + 1)); "
        "[ -e current/server.js ] || echo missing; done; echo $n"
    )
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(host.run(loop)))
    reader.start()
    try:
        story = deploying(bed.fleet, OTHER[before], batches='["100%"]')
    finally:
        host.run("touch /tmp/enough")
        reader.join()
        host.run("rm /tmp/enough")

    assert story.ended == ("done", 0), story.result.reason
    assert "missing" not in found[0] and int(found[0]) > 1000, found[0]
    assert bed.troubles(OTHER[before]) == []


@pytest.mark.soak
def test_a_host_on_a_slow_line_delays_nobody_but_its_batch(bed: Bed) -> None:
    before = bed.serving()
    bed.machines["web3"].run(f"rm -rf /srv/tcgdojo/releases/{bed.fleet.release(OTHER[before]) or 'none'}")
    bed.rack.net("tc qdisc add dev web3 root tbf rate 1mbit burst 16kb latency 400ms")
    try:
        story = deploying(bed.fleet, OTHER[before])
    finally:
        bed.rack.net("tc qdisc del dev web3 root")

    assert story.ended == ("done", 0), story.result.reason
    took = {event.host: event.seconds for event in story.of(StepFinished) if event.name == "stage"}
    assert took["web3"] > 3 > took.get("web1", 0.0) + took.get("web2", 0.0), took
    assert bed.troubles(OTHER[before]) == []


@pytest.mark.parametrize("strategy", ["blue-green", pytest.param("rolling", marks=pytest.mark.soak)])
def test_a_step_that_sudo_asks_a_password_of_fails_at_once_in_sudo_s_words(bed: Bed, strategy: str) -> None:
    before = bed.serving()
    hooks: list[dict[str, Any]] = [
        {
            "name": "limits",
            "phase": "prepare",
            "when": "before",
            "on": "each",
            "run": "sudo sysctl -p",
            "deadline": "60s",
        }
    ]

    story = deploying(bed.fleet, OTHER[before], strategy=strategy, hooks=hooks, probe=50)

    assert story.ended == ("rolled back", 20), story.result.reason
    assert "password is required" in story.result.reason, story.result.reason
    asked = [event for event in story.of(StepFinished) if event.name == "limits"]
    assert len(asked) == 3 and all(event.seconds < 10 for event in asked), asked
    loses_nothing(story)
    assert bed.troubles(before) == []
