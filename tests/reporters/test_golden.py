"""What is shown of the recorded runs, to the letter. After a wanted change: `python -m tests.reporters.test_golden`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from dojo_deploy.reporters.board import Board
from dojo_deploy.reporters.console import Console
from dojo_deploy.reporters.live import draw
from dojo_deploy.reporters.plain import Plain

from .recordings import STORIES

GOLDEN = Path(__file__).parent / "golden"
PICTURES = {"good": (9.0, 80, 24), "failing": (15.9, 80, 24), "fifty": (9.0, 120, 40)}


def plain(story: str) -> str:
    stream = io.StringIO()
    reporter = Plain(stream)
    for _, event in STORIES[story]():
        reporter(event)
    reporter.close()
    return stream.getvalue()


def console(story: str) -> str:
    stream = io.StringIO()
    reporter = Console(console=RichConsole(file=stream, width=80, color_system=None), now=lambda: 0.0)
    for _, event in STORIES[story]():
        reporter(event)
    reporter.close()
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def picture(story: str) -> str:
    """The moving part at one moment of the run."""
    moment, width, height = PICTURES[story]
    time = 0.0
    board = Board(lambda: time)
    for second, event in STORIES[story]():
        if second > moment:
            break
        time = second
        board.take(event)
    text = draw(board, now=moment, width=width, height=height)
    return "".join(f"{line.rstrip()}\n" for line in text.plain.splitlines())


WAYS = {"plain": plain, "console": console, "picture": picture}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("way", WAYS)
def test_a_recorded_run_looks_as_it_did(way: str, story: str) -> None:
    assert WAYS[way](story) == (GOLDEN / f"{way}-{story}.txt").read_text("utf-8")


if __name__ == "__main__":
    for way, show in WAYS.items():
        for story in STORIES:
            (GOLDEN / f"{way}-{story}.txt").write_text(show(story), "utf-8")
