"""What is known of a host job so far, over all the connections that it took to learn it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from dojo_deploy.engine.jobframes import Began, Ended, Frame, Said
from dojo_deploy.engine.jobscript import Job, JobStep

TAIL_LINES = 40
TAIL_CHARACTERS = 4000
KILLED = 137


@dataclass(frozen=True)
class StepResult:
    """`outcome`: done, replayed, failed, interrupted (it began, never ended, and must not run twice), skipped
    (nothing to undo), not run. `tail`: its last lines."""

    step: str
    outcome: str
    status: int | None = None
    tail: str = ""


class Story:
    """Turns one attempt after the other into frames, each told once, and results."""

    def __init__(self, job: Job, on_frame: Callable[[Frame], None]) -> None:
        self._job = job
        self._on_frame = on_frame
        # Numbers as the script gives them: by first appearance.
        self._steps = dict(enumerate(job.steps, 1))
        self._results: dict[int, StepResult] = {}
        self._told: set[tuple[str, int]] = set()
        self.begin()

    def begin(self) -> None:
        """A new attempt, which starts from the top."""
        self.refusal: list[str] = []
        self.was_heard = False
        self.is_over = False
        self.fault = ""
        self._is_cut = False
        self._current = 0
        self._live = False
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def loose(self) -> str:
        """What was said last."""
        return "\n".join(self._tail).strip("\n")[-TAIL_CHARACTERS:]

    def results(self) -> tuple[StepResult, ...]:
        return tuple(self._results.get(number, StepResult(step.id, "not run")) for number, step in self._steps.items())

    def line(self, line: str) -> None:
        if line or self._live:
            self._tail.append(line)
        if self._live:
            self._on_frame(Said(self._steps[self._current].id, line))

    def frame(self, words: list[str]) -> None:
        self.was_heard = True
        kind, rest = words[0], words[1:]
        if kind == "refused":
            self.refusal = rest
        elif kind == "over":
            self.is_over = not self._is_cut
        elif rest and rest[0].isdigit():
            self._about(kind, int(rest[0]), rest[1:])

    def _about(self, kind: str, number: int, rest: list[str]) -> None:
        step = self._steps.get(number)
        if kind == "cut":
            self._is_cut = True
        if step is None:
            self.fault = self.loose or "no reason given"
            return
        if kind in ("begin", "again"):
            self._current, self._live, self._is_cut = number, kind == "begin", False
            self._tail.clear()
        if kind == "begin" and self._tell("begin", number):
            self._on_frame(Began(step.id))
        elif kind == "end":
            self._end(number, step, int(rest[0]), int(rest[1]) / 100, replayed=rest[2] == "replayed")
            self._live = False
        elif kind == "skip":
            self._results[number] = StepResult(step.id, "skipped")
        elif kind == "stuck":
            self._results[number] = StepResult(step.id, "interrupted")
        elif kind == "fault":
            self._results[number] = StepResult(step.id, "failed", None, f"not begun: no record of it\n{self.loose}")

    def _end(self, number: int, step: JobStep, status: int, seconds: float, *, replayed: bool) -> None:
        # An answer that was lost on the way and asked for again is news, not an earlier session's.
        earlier = replayed and ("begin", number) not in self._told
        if status == KILLED and seconds >= step.deadline:
            self._tail.append(f"killed at its deadline of {step.deadline:g} s")
        outcome = "failed" if status else "replayed" if earlier else "done"
        self._results[number] = StepResult(step.id, outcome, status, self.loose)
        if self._tell("end", number):
            self._on_frame(Ended(step.id, status, earlier))

    def _tell(self, what: str, number: int) -> bool:
        is_new = (what, number) not in self._told
        self._told.add((what, number))
        return is_new
