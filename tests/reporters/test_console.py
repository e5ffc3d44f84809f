from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console as RichConsole

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GateRead,
    OutputWritten,
    RunFinished,
    RunStarted,
    StageStarted,
    StepFinished,
    StepStarted,
    UndoStarted,
    Warned,
)
from dojo_deploy.reporters.board import Board
from dojo_deploy.reporters.console import Console
from dojo_deploy.reporters.live import draw
from dojo_deploy.reporters.plain import Plain
from dojo_deploy.secrets import Redactor

from .recordings import fifty

EVIL = "\x1b[2J\x1b]0;title\x07[bold red]x[/] \x9b31m\r\x08\u202egpj.exe\u2028 end\ud800 \x00"


def shown(*events: Event, width: int = 100, verbose: bool = True, terminal: bool = False) -> str:
    stream = io.StringIO()
    rich = RichConsole(file=stream, width=width, height=30, force_terminal=terminal, color_system=None)
    console = Console(console=rich, verbose=verbose, redact=Redactor(["hunter2hunter2"]))
    for event in events:
        console(event)
    console.close()
    return stream.getvalue()


def every_text(text: str) -> list[Event]:
    step = f"{text}/{text}/{text}"
    return [
        RunStarted(run=text, scope=text, strategy=text, release=text, by=text),
        StageStarted(stage=text, hosts=(text,)),
        StepStarted(step=step, host=text, name=text),
        OutputWritten(step=step, host=text, line=text),
        GateRead(step=step, host=text, probe=text, ok=False, detail=text),
        GateFailed(step=step, host=text, seconds=1.0, cause=text),
        StepFinished(step=f"{step}2", host=text, name=text, outcome="failed", detail=text),
        UndoStarted(reason=text),
        Warned(text=text),
        CensusTaken(rows={text: {"current": text, "health": text}}, verdict=text, through_balancer={text: 1}),
        RunFinished(run=text, verdict=text, exit_code=30, seconds=1.0, reason=text, stage_seconds={text: 1.0}),
    ]


@pytest.mark.parametrize("reporter", ["console", "plain", "live"])
def test_what_a_host_writes_is_inert_everywhere(reporter: str) -> None:
    if reporter == "console":
        said = shown(*every_text(EVIL))
    elif reporter == "plain":
        stream = io.StringIO()
        plain = Plain(stream, verbose=True)
        for event in every_text(EVIL):
            plain(event)
        said = stream.getvalue()
    else:
        board = Board(lambda: 0.0)
        for event in every_text(EVIL)[:5]:
            board.take(event)
        said = draw(board, now=1.0, width=400, height=30).plain
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800]", said)
    assert "␛[2J␛]0;title" in said and "[bold red]x[/]" in said


@pytest.mark.parametrize("terminal", [False, True])
def test_a_secret_is_masked_in_every_text(terminal: bool) -> None:
    said = shown(*every_text("hunter2hunter2 é"), terminal=terminal)
    assert "hunter2" not in said and "***" in said


def test_a_cause_is_told_once_in_full_with_its_host_and_step() -> None:
    cause = "\n".join(f"line {number} of the log" for number in range(40))
    said = shown(
        GateFailed(step="batch 1/web1/switch", host="web1", seconds=2.0, cause=cause),
        StepFinished(step="batch 1/web1/switch", host="web1", name="switch", outcome="failed", detail=cause),
    )
    assert all(said.count(f"│ line {number} of the log\n") == 1 for number in range(40))
    assert said.count("web1 · switch") == 1


def test_output_is_shown_on_demand_behind_its_host() -> None:
    event = OutputWritten(step="a/web1/b", host="web1", line="x" * 30)
    assert shown(event) == f"web1 │ {'x' * 30}\n"
    assert shown(event, width=30) == f"web1 │ {'x' * 23}\nweb1 │ {'x' * 7}\n"
    assert shown(event, verbose=False) == ""


def test_a_lost_answer_is_not_called_a_failure() -> None:
    event = StepFinished(step="a/web1/migrate", host="web1", name="migrate", outcome="unknown")
    assert "may or may not have run" in shown(event)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 10), (20, 4)])
def test_the_moving_part_never_outgrows_the_terminal(size: tuple[int, int]) -> None:
    board = Board(lambda: 0.0)
    for _, event in fifty():
        board.take(event)
        text = draw(board, now=1.0, width=size[0], height=size[1])
        lines = text.split("\n", allow_blank=True)
        assert len(lines) <= size[1] and max(line.cell_len for line in lines) <= size[0]


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_twenty_thousand_events_of_five_hundred_hosts_take_under_a_second(verbose: bool, terminal: bool) -> None:
    hosts = tuple(f"web{number}" for number in range(500))
    events: list[Event] = [StageStarted(stage="batch 1", hosts=hosts)]
    for round_ in range(10):
        for host in hosts:
            step = f"batch 1/{host}/step {round_}"
            events.append(StepStarted(step=step, host=host, name=f"step {round_}"))
            events.append(OutputWritten(step=step, host=host, line=f"a line of output, number {round_}"))
            events.append(GateRead(step=step, host=host, probe="health", ok=True, detail="200 12 ms"))
            events.append(StepFinished(step=step, host=host, name=f"step {round_}", outcome="done", seconds=0.1))
    began = time.process_time()
    shown(*events, verbose=verbose, terminal=terminal)
    assert len(events) > 20_000
    assert time.process_time() - began < 1.0


def in_terminal(*words: str, env: dict[str, str], until: bytes, sign: int = 0) -> bytes:
    """What the replay writes to a real terminal; `sign` is sent when `until` has been seen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.reporters.replay", *words]
    clean = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=clean | {"TERM": "xterm-256color"} | env
    ) as process:
        os.close(theirs)
        said = b""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and select.select([ours], [], [], 20)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            said += data
            if sign and until in said:
                process.send_signal(sign)
                sign = 0
        process.kill()
    os.close(ours)
    return said


def test_an_interrupt_gives_the_terminal_back() -> None:
    said = in_terminal("good", "1", env={}, until=b"prepare", sign=signal.SIGINT)
    assert b"interrupted" in said
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l") >= 0


def test_no_color_is_respected() -> None:
    coloured = re.compile(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m")
    assert coloured.search(in_terminal("good", "30", env={}, until=b""))
    assert not coloured.search(in_terminal("good", "30", env={"NO_COLOR": "1"}, until=b""))


def test_the_log_in_a_reason_is_not_told_again_at_the_end() -> None:
    reason = "batch 1/web1/switch: exit status 1\nfirst line of a log\nsecond line of a log"
    said = shown(
        UndoStarted(reason=reason), RunFinished(run="1", verdict="rolled back", exit_code=20, seconds=1, reason=reason)
    )
    assert said.count("exit status 1") == 2 and "of a log" not in said and "in full above" in said


def test_what_was_kept_and_what_to_do_about_it_is_told_at_the_end() -> None:
    reason = "work/controller/work: exit status 1\nlast words\n(kept: the site stays in maintenance; type this)"
    text = shown(RunFinished(run="r", verdict="rolled back", exit_code=20, seconds=1.0, reason=reason), terminal=True)
    assert "(kept: the site stays in maintenance; type this)" in text and "… in full above" in text


def test_a_census_of_a_run_that_never_ended_is_told_when_the_console_is_closed() -> None:
    assert "the fleet is mixed" in shown(CensusTaken(rows={"web1": {"current": "v1"}}, verdict="mixed"))
