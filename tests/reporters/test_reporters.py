from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from dojo_deploy import reporters as tables
from dojo_deploy.events import CensusTaken, LoadMeasured, RunFinished, RunStarted, from_dict
from dojo_deploy.reporters import KINDS, choose
from dojo_deploy.reporters.census import census_table, history_table, releases_table
from dojo_deploy.reporters.html import page
from dojo_deploy.reporters.markdown import markdown
from dojo_deploy.reporters.sentences import answers_line, load_line, sentences
from dojo_deploy.reporters.summary import closing
from dojo_deploy.reporters.text import inert, seconds
from dojo_deploy.secrets import Redactor

from .recordings import failing

AT = "2026-11-23T14:48:12.000Z"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def text(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("stream", "json_", "environ", "kind"),
    [
        (Terminal(), False, {"TERM": "xterm"}, "Console"),
        (Terminal(), False, {"TERM": "xterm", "CI": "true"}, "Plain"),
        (Terminal(), False, {"TERM": "dumb"}, "Plain"),
        (io.StringIO(), False, {"TERM": "xterm"}, "Plain"),
        (Terminal(), True, {"TERM": "xterm"}, "JsonLines"),
    ],
)
def test_the_reporter_fits_where_it_writes_to(
    stream: io.StringIO, json_: bool, environ: dict[str, str], kind: str
) -> None:
    reporter = choose(stream, json=json_, environ=environ)
    reporter.close()
    reporter.close()
    assert type(reporter).__name__ == kind


def test_every_kind_can_be_imported() -> None:
    for target in KINDS.values():
        module, _, name = target.partition(":")
        assert getattr(importlib.import_module(module), name)


def test_plain_and_json_do_without_the_drawing_library() -> None:
    program = (
        "import sys, io\nfrom dojo_deploy.reporters import choose\n"
        "choose(io.StringIO()); choose(io.StringIO(), json=True)\nassert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_json_lines_hold_every_event_and_say_what_they_are() -> None:
    stream = io.StringIO()
    reporter = choose(stream, json=True)
    events = [event for _, event in failing()]
    for event in events:
        reporter(event)
    first, *rest = map(json.loads, stream.getvalue().splitlines())
    assert first["schema"] == 1 and first["tool"] == "dojo_deploy"
    assert [data["event"] for data in rest] == [type(event).__name__ for event in events]
    assert from_dict(rest[0]) == events[0]


def test_json_lines_mask_secrets_and_stay_json() -> None:
    stream = io.StringIO()
    reporter = choose(stream, json=True, redact=Redactor(['a "quoted" pässword']))
    reporter(RunFinished(run="1", verdict="done", exit_code=0, seconds=1, reason='it was a "quoted" pässword.'))
    assert json.loads(stream.getvalue().splitlines()[1])["reason"] == "it was ***."


def test_figures_read_as_sentences() -> None:
    load = LoadMeasured(
        requests=18214,
        failures=0,
        p50_ms=3.2,
        p95_ms=12.4,
        seconds=31,
        answers={"v2": (9.8, 31.0, 9094), "v1": (0.0, 14.2, 9120)},
    )
    assert load_line(load) == "0 failed of 18,214 · p50 3 ms · p95 12 ms"
    assert answers_line(load) == "v1 0.0–14.2 s (9,120), v2 9.8–31.0 s (9,094)"


@pytest.mark.parametrize(
    ("verdict", "code", "first"),
    [("halted", 30, "resume"), ("interrupted", 130, "resume"), ("mixed", 30, "status"), ("fenced", 12, "status")],
)
def test_a_run_that_did_not_succeed_says_what_to_type_next(verdict: str, code: int, first: str) -> None:
    finished = RunFinished(run="1", verdict=verdict, exit_code=code, seconds=1)
    said = sentences(finished, verbose=False)
    assert next(line for line in said if line.startswith("next: ")).startswith(f"next: invoke {first}: ")
    named, line = replace(finished, inventory="production"), f"invoke {first} -i production"
    assert next(each for each in sentences(named, verbose=False) if "next: " in each).startswith(f"next: {line}: ")
    assert f"next: {line}" in text(closing(named, None, None))
    assert f"`{line}`: " in markdown([named])
    started = RunStarted(run="1", at=AT, scope="s", strategy="rolling", release="v1")
    assert f">{line}</code>" in page([started, replace(named, at=AT)], inventory="production")


@pytest.mark.parametrize(("value", "said"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 m 01 s"), (3661, "1 h 01 m")])
def test_durations_are_short(value: float, said: str) -> None:
    assert seconds(value) == said


def test_ordinary_text_is_left_alone() -> None:
    assert inert("Größe ✓ 日本 [x]") == "Größe ✓ 日本 [x]"


def test_a_crowd_of_equal_hosts_takes_one_row_and_the_odd_ones_one_each() -> None:
    row = {"current": "v2", "running": "v2", "health": "v2", "balancer": "serving", "verdict": "consistent"}
    rows = {f"web{number}": row for number in range(300)} | {"odd": row | {"health": "v1", "verdict": "mixed"}}
    assert text(census_table(rows, "mixed", {"v2": 90, "v1": 10})) == (
        "host       link  processes  health  balancer  verdict\n"
        "300 hosts  v2    same       same    serving   consistent\n"
        "odd        v2    same       v1      serving   mixed\n"
        "\n"
        "the fleet is mixed  ·  through the balancer v2 90, v1 10 of 100\n"
    )


def test_what_is_alike_says_so_and_what_is_wrong_stands_out() -> None:
    fine = {"current": "v2", "running": "v2 ×2", "health": "ok", "balancer": "serving", "verdict": "ok"}
    sick = fine | {"running": "v1 ×2", "health": "sick: 500", "verdict": "wrong"}
    census = CensusTaken(rows={"web1": fine, "web2": sick}, verdict="mixed")
    assert tables.census_table(census) == (
        "host  link  processes  health     balancer  verdict\n"
        "web1  v2    same ×2    ok         serving   ok\n"
        "web2  v2    v1 ×2      sick: 500  serving   wrong\n"
        "\n"
        "the fleet is mixed"
    )


def test_releases_stand_with_where_they_run_and_why_not() -> None:
    known = [
        {"id": "v2", "ref": "main", "commit": "4f3a9c1bb", "passed": "", "bad": "gate failed on web1"},
        {"id": "v1", "ref": "main", "commit": "9be1f04aa", "passed": "2026-11-20T10:00:00Z", "bad": ""},
    ]
    assert text(releases_table(known, {"web1": "v1", "web2": "v1"})) == (
        "release  ref   commit   on         gates passed, UTC\n"
        "v2       main  4f3a9c1             bad: gate failed on web1\n"
        "v1       main  9be1f04  web1 web2  11-20 10:00\n"
    )


def test_history_tells_how_each_run_ended() -> None:
    run = {
        "run": "20261120T100000-a1",
        "strategy": "rolling",
        "release": "4f3a9c1-77",
        "by": "ana@ci (pid 7)",
    }
    run["at"] = "2026-11-20T10:00:00.000Z"
    failed = run | {"run": "20261120T100000-a0", "verdict": "rolled back", "reason": "web1: health 500\nlog:\n…"}
    failed |= {"seconds": 21.93, "ref": "v2"}
    halted = run | {"verdict": "halted", "seconds": 61, "open": True}
    rows = [run | {"verdict": "open", "open": True}, failed, halted, run | {"verdict": "never began"}]
    assert text(history_table(rows), width=100) == (
        "run  began, UTC   strategy  release     by      ended          took      why\n"
        "a1   11-20 10:00  rolling   4f3a9c1     ana@ci  open           –\n"
        "a0   11-20 10:00  rolling   v2 4f3a9c1  ana@ci  rolled back    21.9 s    web1: health 500\n"
        "a1   11-20 10:00  rolling   4f3a9c1     ana@ci  halted (open)  1 m 01 s\n"
        "a1   11-20 10:00  rolling   4f3a9c1     ana@ci  never began    –\n"
    )


def test_a_run_or_a_release_takes_one_line_of_a_narrow_terminal() -> None:
    why = "batch 1 of 3/web1/prove: 3 failed rounds in a row, and a long story of what had been seen until then"
    run = {"run": "20261123T153132-d2c15b", "strategy": "rolling", "release": "68ad716e1d-6927d152", "by": "root@vm"}
    ended = run | {"at": "2026-11-23T15:31:32Z", "verdict": "rolled back", "reason": why}
    release = {"id": "68ad716e1d-6927d152", "ref": "v3", "commit": "68ad716e1d", "passed": "", "bad": why}
    for table in (history_table([ended] * 3), releases_table([release] * 3)):
        lines = text(table).splitlines()
        assert len(lines) == 4
        assert all(len(line) <= 80 and line.endswith("…") for line in lines[1:])
        assert "68ad716" in lines[1]
