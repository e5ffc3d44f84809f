"""The lock between real processes, over every kind of store: who wins, who is told what, and who is fenced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

from dojo_deploy.secrets import Secret

ROUNDS = {"directory": 20, "host": 10, "s3": 10}


class Contender:
    def __init__(self, kind: str, options: dict[str, object], root: Path) -> None:
        plain = {name: value.as_dict() if isinstance(value, Secret) else value for name, value in options.items()}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("contender.py"), kind, json.dumps(plain), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.lines: Queue[str] = Queue()
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def order(self, **values: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(values) + "\n")
        self.process.stdin.flush()

    def answer(self, within: float = 20.0) -> dict[str, Any]:
        return json.loads(self.lines.get(timeout=within))

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)


@pytest.fixture
def two(kind: str, options: dict[str, object], tmp_path: Path) -> Iterator[tuple[Contender, Contender]]:
    made = Contender(kind, options, tmp_path), Contender(kind, options, tmp_path)
    for each in made:
        assert each.answer() == {"ready": True}
    yield made
    for each in made:
        each.process.kill()
        each.process.wait()
        each.reader.join(5)
        each.process.stdin.close()
        each.process.stdout.close()


def test_of_two_deployers_at_once_exactly_one_proceeds(kind: str, two: tuple[Contender, Contender]) -> None:
    generation = 0
    for round_ in range(ROUNDS[kind]):
        for number, each in enumerate(two):
            each.order(run=f"run{round_}-{number}", ttl=5)
        first = _answers(two)
        winners = [number for number, said in enumerate(first) if "got" in said]
        assert len(winners) == 1, first
        winner, loser = winners[0], 1 - winners[0]
        assert first[winner]["got"] > generation
        generation = first[winner]["got"]
        assert first[loser]["error"] == "LockedError"
        assert f"(pid {two[winner].process.pid})" in first[loser]["message"]
        assert f"run run{round_}-{winner}" in first[loser]["message"]
        two[winner].order(release=True)
        assert two[winner].answer() == {"released": "fine"}
    assert generation == ROUNDS[kind]


def _answers(two: tuple[Contender, Contender]) -> list[dict[str, Any]]:
    """What each says first; whoever has the lock shows a sign of life until the other has seen one."""
    said: list[dict[str, Any]] = [{}, {}]
    for _ in range(200):
        for number, each in enumerate(two):
            with contextlib.suppress(Empty):
                said[number] = said[number] or each.answer(0.05)
        if all(said):
            return said
        for number, each in enumerate(two):
            if "got" in said[number]:
                each.order(renew=True)
                assert each.answer() == {"renewed": "fine"}
    raise AssertionError(said)


def test_a_killed_deployers_run_is_refused_to_a_deploy_and_taken_at_once_by_resume(
    two: tuple[Contender, Contender],
) -> None:
    first, second = two
    first.order(run="run1", ttl=30, open=True)
    assert first.answer()["got"] == 1
    first.process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    second.order(run="run2", ttl=30)
    assert second.answer()["error"] == "OpenRunError"
    second.order(run="run1", ttl=30, purpose="resume")
    assert second.answer() == {"got": 3, "open_run": "run1"}
    assert time.monotonic() - began < 5


def test_a_paused_deployer_is_taken_over_and_fenced_when_it_wakes(two: tuple[Contender, Contender]) -> None:
    first, second = two
    first.order(run="run1", ttl=2)
    assert first.answer()["got"] == 1
    first.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        second.order(run="run2", ttl=2)
        assert second.answer() == {"got": 2, "open_run": ""}
        assert time.monotonic() - began > 2
    finally:
        first.process.send_signal(signal.SIGCONT)
    first.order(check=True)
    assert first.answer() == {"checked": "FencedError", "opened": "FencedError"}
