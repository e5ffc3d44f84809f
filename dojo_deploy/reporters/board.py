"""Where a run stands, made of its events alone: what the live view draws."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dojo_deploy.events import (
    Event,
    GateFailed,
    GatePassed,
    GateRead,
    OutputWritten,
    PlanMade,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepStarted,
    UndoStarted,
    Warned,
)

UNDO = "~undo"


@dataclass
class Gauge:
    """One probe of a gate: its last reading, and how many in a row were good."""

    detail: str = ""
    ok: bool = False
    counts: bool = True
    row: int = 0

    def read(self, event: GateRead) -> None:
        self.ok, self.detail, self.counts = event.ok, event.detail, event.counts
        self.row = self.row + 1 if event.ok else 0


@dataclass
class Lane:
    """One host in the stage that is on."""

    host: str
    steps: int = 0  # planned; 0: unknown
    finished: int = 0
    since: float = 0.0
    running: dict[str, str] = field(default_factory=dict)  # step id -> name, in the order they began
    step: str = ""
    at: str = ""  # id of the step that wrote last
    gauges: dict[str, Gauge] = field(default_factory=dict)
    output: str = ""
    state: str = "waiting"  # running, done, failed

    @property
    def name(self) -> str:
        # The steps of one host job are all announced before it leaves; what it says shows which one it is at.
        return self.running.get(self.at) or next(iter(self.running.values()), self.step)


class Board:
    """Events go in through `take`; everything else is there to be read. `now` is any monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.run = RunStarted(run="", scope="", strategy="", release="")
        self.began = now()
        self.stages: dict[str, Mapping[str, int]] = {}  # planned ones: host -> number of steps
        self.done: dict[str, float] = {}
        self.stage = ""
        self.stage_began = 0.0
        self.lanes: dict[str, Lane] = {}
        self.drained: dict[str, None] = {}
        self.serving: dict[str, None] = {}
        self.undoing = ""
        self.undone: dict[str, int] = {}
        self.in_a_row: dict[str, int] = {}
        self.warnings = 0
        self.proofs: dict[str, None] = {}  # how the stage's gates identified the release
        self._now = now
        self._takers: dict[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            PlanMade: self._plan_made,
            StageStarted: self._stage_started,
            StageFinished: self._stage_finished,
            StepStarted: self._step_started,
            StepFinished: self._step_finished,
            OutputWritten: self._output_written,
            GateRead: self._gate_read,
            GatePassed: self._gate_passed,
            GateFailed: self._gate_failed,
            UndoStarted: self._undo_started,
            Warned: self._warned,
        }

    def take(self, event: Event) -> None:
        taker = self._takers.get(type(event))
        if taker:
            taker(event)

    def _run_started(self, event: RunStarted) -> None:
        self.run = event
        self.began = self._now()

    def _plan_made(self, event: PlanMade) -> None:
        for stage in event.plan.get("stages", ()):
            lanes = stage["lanes"]
            self.stages[stage["name"]] = {lane["host"]: len(lane["steps"]) for lane in lanes}
            for lane in lanes:
                for step in lane["steps"]:
                    # The plan tells a gate in words, for people; this is one of them.
                    wanted = re.search(r"(\d+) in a row", step.get("gate") or "")
                    if wanted:
                        self.in_a_row[f"{stage['name']}/{lane['host']}/{step['name']}"] = int(wanted[1])

    def _stage_started(self, event: StageStarted) -> None:
        self.stage, self.stage_began = event.stage, self._now()
        self.proofs = {}
        planned = self.stages.setdefault(event.stage, dict.fromkeys(event.hosts, 0))
        self.lanes = {host: Lane(host, planned.get(host, 0)) for host in event.hosts}

    def _stage_finished(self, event: StageFinished) -> None:
        self.done[event.stage] = event.seconds
        self.stage = "" if event.ok else self.stage

    def _step_started(self, event: StepStarted) -> None:
        lane = self._lane(event.host)
        if not lane.running:
            lane.since = self._now()
        lane.state, lane.gauges, lane.output = "running", {}, ""
        lane.running[event.step] = lane.step = event.name

    def _step_finished(self, event: StepFinished) -> None:
        lane = self._lane(event.host)
        lane.running.pop(event.step, None)
        lane.since, lane.step = self._now(), event.name
        lane.finished += 1
        if event.step.endswith(UNDO):
            self.undone[event.host] = self.undone.get(event.host, 0) + 1
        if event.outcome in ("failed", "unknown"):
            lane.state = "failed"
        elif not lane.running and lane.state != "failed":
            lane.state = "done" if lane.finished >= lane.steps > 0 else "running"
        if event.outcome in ("done", "replayed") and event.name in ("drain", "restore"):
            gone, come = (self.serving, self.drained) if event.name == "drain" else (self.drained, self.serving)
            gone.pop(event.host, None)
            come[event.host] = None

    def _output_written(self, event: OutputWritten) -> None:
        lane = self._lane(event.host)
        lane.output, lane.at = event.line, event.step
        if lane.state == "waiting":
            lane.state, lane.since = "running", self._now()

    def _gate_read(self, event: GateRead) -> None:
        lane = self._lane(event.host)
        lane.step = event.step.rpartition("/")[2]
        lane.state = "running"
        lane.gauges.setdefault(event.probe, Gauge()).read(event)

    def _gate_passed(self, event: GatePassed) -> None:
        self.proofs.update(dict.fromkeys(event.proofs))
        lane = self._lane(event.host)
        lane.gauges = {}
        lane.state = "done" if lane.finished >= lane.steps > 0 and not lane.running else "running"

    def _gate_failed(self, event: GateFailed) -> None:
        self._lane(event.host).state = "failed"

    def _undo_started(self, event: UndoStarted) -> None:
        self.undoing, self.stage, self.stage_began = event.reason, "undo", self._now()
        self.lanes = {}

    def _warned(self, _: Warned) -> None:
        self.warnings += 1

    def _lane(self, host: str) -> Lane:
        return self.lanes.setdefault(host, Lane(host))
