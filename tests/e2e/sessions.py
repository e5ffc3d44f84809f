"""Deployments as processes of their own, which tests kill, freeze and interrupt at the event they choose."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dojo_deploy import app
from dojo_deploy.app import windows
from dojo_deploy.errors import DojoError
from dojo_deploy.events import Event
from dojo_deploy.runs.wishes import Wishes

# Patience is for people: what is tested here is what happens between two events, not how long a gate is held.
QUICK = {
    "batches": '[1, "100%"]',
    "bake.first": "0s",
    "gate.every": "50ms",
    "gate.in_a_row": "1",
    "gate.grace": "2s",
    "gate.within": "20s",
}


@dataclass(frozen=True)
class Order:
    """What a session does. `signals`: sent to itself right after the event of that kind, or of that number.

    The journal has the event by then: subscribers hear of it afterwards.
    """

    verb: str
    inventory: str
    ref: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    after: str | int = ""
    send: int = signal.SIGKILL
    probe_rate: float = 0.0
    strategy: str = "rolling"


@dataclass(frozen=True)
class Ended:
    """How a session ended: `status` as a shell would say it, `verdict`, and every event that it told."""

    status: int
    verdict: str
    message: str
    events: tuple[Mapping[str, Any], ...]
    seconds: float

    @property
    def was_killed(self) -> bool:
        return self.status == 128 + signal.SIGKILL

    def kinds(self) -> list[str]:
        return [kind_of(event) for event in self.events]


class Session:
    """One orchestrator's process."""

    def __init__(self, order: Order, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._told = work / f"told-{time.monotonic_ns()}.jsonl"
        self._started = time.monotonic()
        self._process = _processes(order, self._told)

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return not self._process.is_alive()

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def until(self, is_so: Callable[[list[str]], bool], *, within: float = 60.0) -> None:
        """Waits for its events to be like that."""
        deadline = time.monotonic() + within
        while not is_so([kind_of(line) for line in self._lines() if "event" in line]):
            assert time.monotonic() < deadline, f"after {within} s: {self._lines()[-3:]}"
            assert self._process.is_alive(), f"it has ended: {self._lines()[-3:]}"
            time.sleep(0.05)

    def ended(self, *, within: float = 120.0) -> Ended:
        self._process.join(within)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"a session still ran after {within} s: {self._lines()[-3:]}")
        code = self._process.exitcode
        lines = self._lines()
        last = lines[-1] if lines and "verdict" in lines[-1] and "event" not in lines[-1] else {}
        return Ended(
            code if code >= 0 else 128 - code,
            last.get("verdict", ""),
            last.get("message", ""),
            tuple(line for line in lines if "event" in line),
            time.monotonic() - self._started,
        )

    def _lines(self) -> list[dict[str, Any]]:
        text = self._told.read_text() if self._told.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]


def run(order: Order, work: Path, *, within: float = 120.0) -> Ended:
    """One session from its beginning to its end."""
    return Session(order, work).ended(within=within)


def kind_of(event: Event | Mapping[str, Any]) -> str:
    """What an event is, without the particular host or batch: `StepFinished batch/switch~undo`."""
    values = event.as_dict() if isinstance(event, Event) else event
    place = re.sub(r" \d+ of \d+", "", str(values.get("step") or values.get("stage") or ""))
    parts = place.split("/")
    return " ".join([values["event"], "/".join((parts[0], *parts[2:]))]).strip()


def _processes(order: Order, told: Path) -> BaseProcess:
    # Forked from a process that has imported everything once: a matrix starts hundreds of them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", __name__, "dojo_deploy.transports.ssh", "dojo_deploy.stores.s3"])
    process = context.Process(target=_main, args=(asdict(order), str(told)))
    process.start()
    return process


def _main(order: Mapping[str, Any], told: str) -> None:
    wanted = Order(**order)
    with Path(told).open("w", buffering=1) as file:

        def tell(event: Event) -> None:
            file.write(json.dumps(event.as_dict()) + "\n")
            if wanted.after in (event.seq, kind_of(event)) and not sent:
                sent.append(event.seq)
                os.kill(os.getpid(), wanted.send)

        sent: list[int] = []
        wishes = Wishes(subscribers=(tell,), probe_rate=wanted.probe_rate)
        try:
            result = _act(wanted, wishes)
        except DojoError as exc:
            file.write(json.dumps({"verdict": type(exc).__name__, "message": str(exc)}) + "\n")
            code = exc.exit_code
        else:
            file.write(json.dumps({"verdict": result.verdict, "message": result.reason}) + "\n")
            code = result.exit_code
    sys.exit(code)


def _act(order: Order, wishes: Wishes) -> Any:
    if order.verb == "deploy":
        overrides = {**(QUICK if order.strategy == "rolling" else {}), **order.overrides}
        return app.deploy(order.inventory, order.strategy, ref=order.ref, overrides=overrides, wishes=wishes)
    if order.verb == "rollback":
        return app.rollback(order.inventory, overrides=order.overrides, wishes=wishes)
    if order.verb == "retire":
        return app.retire(order.inventory, now=True, wishes=wishes)
    if order.verb == "maintenance":
        return windows.start(order.inventory, reason="to be killed", wishes=wishes)
    return {"resume": app.resume, "abort": app.abort}[order.verb](order.inventory, wishes=wishes)
