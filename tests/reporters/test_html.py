from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from dojo_deploy.engine.journal import Journal
from dojo_deploy.engine.journal import read as read_journal
from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GateRead,
    LoadMeasured,
    OutputWritten,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from dojo_deploy.reporters.html import page
from dojo_deploy.reporters.html.names import Names
from dojo_deploy.reporters.html.story import read as read_story
from dojo_deploy.secrets import Redactor

from .pages import Node, place, read, told
from .recordings import NEW, OLD, failing, fifty, good

HOSTILE = "</script></style></pre><img src=x onerror=alert(1)>\"' onload=x\x1b[2J\x00\u202e<!--"
REFS = {OLD: "v1", NEW: "v2"}


def events(story: Iterable[tuple[float, Event]]) -> list[Event]:
    named = [event for _, event in story]
    return [replace(event, refs=REFS) if isinstance(event, RunStarted) else event for event in named]


def measured(of: list[Event]) -> list[Event]:
    """With a load of which each second is known; 7 requests fail in second 12."""
    course = tuple(
        {
            "begin": float(second),
            "end": second + 1.0,
            "requests": 400,
            "failures": 7 if second == 12 else 0,
            "p50": 2.0,
            "p95": 4.0,
            "p99": 80.0 if second == 12 else 5.0,
            "answers": {OLD: 400} if second < 10 else {OLD: 200, NEW: 193 if second == 12 else 200},
        }
        for second in range(20)
    )
    began = of[2].at
    return [
        replace(event, course=course, began=began, p99_ms=6.0) if isinstance(event, LoadMeasured) else event
        for event in of
    ]


@pytest.fixture(scope="module")
def failed() -> Node:
    return read(page(measured(events(failing()))))


def test_the_top_says_what_when_why_how_it_is_now_and_what_to_type(failed: Node) -> None:
    words = told(failed)
    assert failed.one("h1").text == "↩Rolled back"
    assert words["What"] == "v2 did not pass the gate of switch on web2 (batch 2). All of it was undone."
    assert words["When"].startswith("Failed at 14:48:31 UTC, 19.5 s after it began.")
    assert words["Why"].startswith("web2 · switch health: 500 8 ms: database: no such table")
    assert 'relation "rarity" does not exist' in words["Why"]
    assert (
        words["Now"] == "The fleet is consistent: web1 web2 web3 run v1 and serve. Through the balancer: 100 of 100 v1."
    )
    assert words["Users saw"].startswith("3 failed of 14,102 requests") and "2 × status 502" in words["Users saw"]
    assert "invoke status" in words["Next"] and "invoke deploy --ref" in words["Next"]


def test_a_point_of_no_return_is_told_at_the_top() -> None:
    kept = [
        replace(event, reason=f"{event.reason}\n(kept: migrate has no way back; everything after it was undone)")
        if isinstance(event, RunFinished)
        else event
        for event in events(failing())
    ]
    assert told(read(page(kept)))["What"].endswith("Everything after migrate was undone; migrate has no way back.")


def test_a_site_that_stays_in_maintenance_is_told_at_the_top() -> None:
    kept = [
        replace(event, reason=f"{event.reason}\n(kept: the site stays in maintenance; mend what failed)")
        if isinstance(event, RunFinished)
        else event
        for event in events(failing())
    ]
    assert told(read(page(kept)))["What"].endswith("The site stays in maintenance; mend what failed.")


def test_a_good_run_says_so_and_names_the_way_back() -> None:
    root = read(page(events(good())))
    words = told(root)
    assert "Why" not in words and root.every("div", "flags") == []
    assert words["What"] == "v2 passed every gate and is in service." and "invoke rollback" in words["Next"]


@pytest.mark.parametrize(
    ("strategy", "did"),
    [("restart", "was restarted"), ("retire", "what stood by was stopped"), ("migrate", "on the migrated database")],
)
def test_a_run_that_brings_no_release_neither_blames_nor_praises_one(strategy: str, did: str) -> None:
    def told_of(run: list[Event]) -> dict[str, str]:
        return told(read(page(replace(one, strategy=strategy) if isinstance(one, RunStarted) else one for one in run)))

    well, badly = told_of(events(good())), told_of(events(failing()))
    assert did in well["What"] and "rollback" not in well["Next"]
    assert "invoke status" in badly["Next"] and "marked bad" not in badly["Next"]


def test_a_run_without_an_end_claims_none() -> None:
    cut = [event for event in events(failing()) if not isinstance(event, RunFinished)]
    for number in (3, 12, 30, len(cut)):
        root = read(page(cut[:number]))
        assert root.one("h1").text == "?No end is recorded"
        assert "invoke resume" in told(root)["Next"]
        assert "consistent" not in told(root)["Now"] or number == len(cut)


def test_what_the_picture_shows_is_where_the_events_say(failed: Node) -> None:
    rows = {row.one("div", "who").text: row for row in failed.every("div", "row") if row.one("div", "who").text}
    assert list(rows)[:4] == ["stages", "web1", "✗ web2", "web3"]
    end = 26.5
    gate = rows["✗ web2"].every("span", "gate")[0]
    left, width = place(gate)
    assert "failed" in gate.attributes["class"] and left + width == pytest.approx(100 * 19.46 / end, abs=0.2)
    assert len(gate.every("i")) == 7, "each reading that was not ok"
    undo = [bar.text for bar in rows["web1"].every("span", "undo")]
    assert undo == ["↩ switch back", "↩ restore"]
    assert all(place(bar)[0] > left + width - 0.1 for bar in rows["web1"].every("span", "undo"))
    flag = failed.one("div", "flags")
    assert flag.text == "✗ web2 switch, 19.5 s"
    assert "identified by process and health" in rows["web1"].every("span", "gate")[0].attributes["title"]


def test_every_bar_lies_within_the_picture(failed: Node) -> None:
    for root in (failed, read(page(events(good()))), read(page(events(fifty())))):
        for bar in (bar for bar in root.every("span", "bar")):
            left, width = place(bar)
            assert 0 <= left <= 100 and left + width <= 100.02


def test_steps_that_travel_together_begin_when_their_work_did() -> None:
    def at(second: int) -> str:
        return f"2026-11-23T10:00:{second:02}.000Z"

    one, two = ({"step": f"s/web1/{name}", "host": "web1", "name": name} for name in ("one", "two"))
    (session,) = read_story(
        [
            StepStarted(seq=1, at=at(0), **one),
            StepStarted(seq=2, at=at(0), **two),
            StepFinished(seq=3, at=at(4), outcome="done", seconds=4.0, **one),
            StepFinished(seq=4, at=at(9), outcome="done", seconds=5.0, **two),
        ]
    )
    assert [(span.begin, span.end) for span in session.spans] == [(0.0, 4.0), (4.0, 9.0)]


def test_a_clock_that_was_set_back_turns_nothing_around() -> None:
    told_backwards = [
        replace(event, at="2026-11-23T09:00:00.000Z") if event.seq == 20 else event for event in events(good())
    ]
    (session,) = read_story(told_backwards)
    assert all(0 <= span.begin <= span.end <= session.end for span in session.spans)


def test_requests_and_failures_stand_on_the_axis_of_the_hosts(failed: Node) -> None:
    (mark,) = failed.every("span", "failures")
    left, width = place(mark)
    start = 0.9  # of the load, which began with the first stage
    assert (
        mark.text == "✗ 7"
        and left == pytest.approx(100 * (12 + start) / 26.5, abs=3)
        and width == pytest.approx(3.77, abs=0.1)
    )
    shapes = [shape.attributes["class"] for shape in failed.every("polygon")]
    assert shapes == ["hue1", "hue0", "stripes"], "the new release is told by more than its colour"
    assert "v1 (20261120)" in failed.one("ul", "answered").text and "v2 (20261123)" in failed.one("ul", "answered").text
    rows = [[cell.text for cell in row.every("td")] for row in failed.every("tr") if "v1 200, v2 193" in row.text]
    assert [row[1:3] for row in rows] == [["400", "7"]]


def test_each_session_of_a_resumed_run_has_its_own_picture() -> None:
    first = [event for event in events(failing()) if not isinstance(event, RunFinished)][:20]
    second = [replace(event, resumed=True) if isinstance(event, RunStarted) else event for event in events(good())]
    root = read(page([*first, *second]))
    headings = [heading.text for heading in root.every("h2")]
    assert headings[:2] == ["Session 1, from 14:48:12: no end is recorded", "Session 2, from 14:48:12: done"]
    assert "In 2 sessions" in told(root)["When"]


def test_five_hundred_hosts_fit_and_the_one_that_failed_comes_first() -> None:
    text = page(events(fifty(500)))
    root = read(text)
    hosts = [row.one("div", "who").text for row in root.every("div", "host")]
    assert len(text) < 600_000 and len(hosts) == 25
    assert hosts[0] == "✗ web31" and hosts[-1] == "476 more"
    assert "499 hosts" in told(root)["Now"]


def test_whatever_hosts_write_stays_text() -> None:
    hostile: list[Event] = [
        RunStarted(run=HOSTILE, scope=HOSTILE, strategy=HOSTILE, release=HOSTILE, by=HOSTILE, refs={HOSTILE: HOSTILE}),
        StepStarted(step=f"{HOSTILE}/{HOSTILE}/x", host=HOSTILE, name=HOSTILE),
        OutputWritten(step=f"{HOSTILE}/{HOSTILE}/x", host=HOSTILE, line=HOSTILE),
        GateRead(step=f"{HOSTILE}/h/x", host=HOSTILE, probe=HOSTILE, ok=False, detail=HOSTILE, proof=HOSTILE),
        GateFailed(step=f"{HOSTILE}/h/x", host=HOSTILE, seconds=1, cause=f"{HOSTILE}\n{HOSTILE}"),
        Warned(text=HOSTILE),
        LoadMeasured(
            requests=1, failures=1, p50_ms=0, p95_ms=0, seconds=1, answers={HOSTILE: (0, 1, 1)}, errors={HOSTILE: 1}
        ),
        RunFinished(run=HOSTILE, verdict=HOSTILE, exit_code=30, seconds=1, reason=HOSTILE),
    ]
    text = page([replace(event, seq=number, at="2026-11-23T10:00:00.000Z") for number, event in enumerate(hostile, 1)])
    root = read(text)
    assert {node.name for node in root.every()}.isdisjoint({"img", "iframe", "object", "a", "link", "base", "form"})
    assert not [name for node in root.every() for name in node.attributes if name.startswith("on")]
    assert len(root.every("script")) == 1 and "alert" not in root.one("script").text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert "<img src=x onerror=alert(1)>" in root.one("main").text, "and it can be read"


def test_it_loads_nothing_and_runs_nothing_but_its_own_line(failed: Node) -> None:
    for node in failed.every():
        assert not {"src", "href", "srcset", "action", "background", "poster"} & set(node.attributes), node.name
    style = failed.one("style").text
    assert "@import" not in style and set(re.findall(r"url\(([^)]*)\)", style)) == {"#stripes"}
    policy = next(node for node in failed.every("meta") if "http-equiv" in node.attributes).attributes["content"]
    script = base64.b64encode(hashlib.sha256(failed.one("script").text.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"'sha256-{script}'" in policy


def test_a_secret_that_the_journal_masked_is_in_no_report(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", Redactor(["canary-4711"]))
    for event in events(failing()):
        journal.write(replace(event, line="token canary-4711") if isinstance(event, OutputWritten) else event)
    journal.close()
    text = page(read_journal(tmp_path / "journal.jsonl"))
    assert "canary-4711" not in text and "token ***" in text


def test_hosts_that_failed_alike_are_told_of_once_and_each_can_be_looked_up() -> None:
    story = events(failing())
    at = next(number for number, event in enumerate(story) if isinstance(event, GateFailed))
    failed = story[at]
    assert isinstance(failed, GateFailed)
    step, detail = "batch 2/web3/switch", "500 9 ms: database: no such table"
    early = GateRead(step=step, host="web3", probe="health", ok=False, detail=detail, at=story[at - 2].at)
    sooner = replace(failed, step=step, host="web3", at=early.at)
    both = [*story[: at - 1], early, sooner, *story[at - 1 :]]
    root = read(page([replace(event, seq=number) for number, event in enumerate(both, 1)]))
    assert (
        "web3 · switch health: as on web2" in told(root)["Why"]
        and detail not in root.one("dl", "told").every("p")[0].text
    )
    assert "on web2" in told(root)["What"] and root.one("div", "flags").text.startswith("✗ web2 switch")
    assert [node.text for node in root.one("dl", "told").every("summary")] == [
        "All that web2 had to say",
        "All that web3 had to say",
    ]


def test_a_fleet_that_is_mixed_after_an_undo_is_in_the_headline() -> None:
    mixed = [
        replace(event, verdict="mixed") if isinstance(event, CensusTaken) else event for event in events(failing())
    ]
    root = read(page(mixed))
    assert root.one("h1").text == "✗Rolled back, but the fleet is mixed"
    assert "bad" in root.one("section", "first").attributes["class"]
    assert told(root)["Next"].startswith("invoke status see what is wrong with it")


def test_what_stands_by_and_the_quick_way_back_are_told() -> None:
    standby = {"slot": "blue", "release": OLD, "until": "2026-11-24T14:48:00.000Z"}
    story = [replace(event, standby=standby) if isinstance(event, CensusTaken) else event for event in events(good())]
    words = told(read(page(story)))
    assert words["Now"].endswith("v1 stands by in blue until 2026-11-24 14:48 UTC.")
    assert words["Next"] == "invoke rollback switches back within seconds, should it be needed"


def test_where_no_times_are_known_none_are_made_up() -> None:
    story = [event for event in events(failing()) if isinstance(event, (RunStarted, RunFinished))]
    still = [replace(event, seq=number, at="2026-11-23T10:00:00.000Z") for number, event in enumerate(story, 1)]
    root = read(page(still))
    assert told(root)["When"] == "Began 23 November 2026, 10:00:00 UTC; its end's time is not recorded."
    assert not root.every("div", "rows")


def test_what_is_missing_is_said_at_the_top() -> None:
    root = read(page(events(good())[:2], missing=("The store could not be asked.",)))
    assert "Not everything is known hereThe store could not be asked." in root.one("section", "first").text


def test_releases_are_named_as_short_as_tells_them_apart() -> None:
    names = Names(("aa11-1-1", "aa11-2-1", "bb22-1-1"), {"aa11-1-1": "main", "aa11-2-1": "main", "bb22-1-1": "v2"})
    assert [names.brief(name) for name in names.order] == ["main (aa11-1)", "main (aa11-2)", "v2"]
    assert names.full("bb22-1-1") == "v2 (bb22)" and names.full("cc33-1") == "cc33"


PAIRS = [("ink", "card"), ("dim", "card"), ("dim", "page"), ("good", "card"), ("warn", "page"), ("bad", "card")]
PAIRS += [("bad", "bad-bg"), ("warn", "warn-bg"), ("step-ink", "step"), ("gate-ink", "gate"), ("undo-ink", "undo")]
PAIRS += [("ink", "stage"), ("ink", "soft"), ("failed-ink", "failed")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_every_text_stands_out_from_its_ground(scheme: str, text: str, ground: str) -> None:
    style = files("dojo_deploy.reporters.html").joinpath("report.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", block)) for block in style.split("@media", 2)[:2])
    colours = light if scheme == "light" else light | dark
    one, other = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (one + 0.05) / (other + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Of WCAG 2."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
