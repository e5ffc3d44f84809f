"""Figures of a load: added up per slice of time by the process that makes it, read back by whoever asks."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dojo_deploy.events import LoadMeasured

TENTHS = 10  # latencies are counted in tenths of a millisecond
MOST_KINDS = 50  # distinct releases and errors kept by name, whatever a server answers
MOST_FAILED = 100  # failures of one slice kept one by one
MOST_SLICES = 160  # of a course
STOPPED = "stopped"  # why a load ended that was told to
STEADY = 0.5  # a site that was not there is there once it answered so many seconds without a failure


class Tally:
    """What happened in a slice of time; two of them can be added. Bounded, however many requests there were."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self.skipped = 0
        self.latencies: Counter[int] = Counter()
        self.answers: dict[str, tuple[float, float, int]] = {}
        self.errors: Counter[str] = Counter()
        self.failed: list[tuple[float, str]] = []

    def __bool__(self) -> bool:
        return bool(self.requests or self.skipped)

    @property
    def successes(self) -> int:
        return self.requests - self.failures

    def succeed(self, second: float, ms: float, release: str) -> None:
        self.requests += 1
        self.latencies[round(ms * TENTHS)] += 1
        if release:
            self._answer(release, second, second, 1)

    def fail(self, second: float, kind: str) -> None:
        self.requests += 1
        self.failures += 1
        self.errors[_bounded(kind, self.errors)] += 1
        if len(self.failed) < MOST_FAILED:
            self.failed.append((round(second, 3), kind))

    def add(self, data: Mapping[str, Any]) -> None:
        """Adds what another tally's `as_dict` gave."""
        self.requests += data["requests"]
        self.failures += data["failures"]
        self.skipped += data["skipped"]
        for tenths, count in data["latencies"].items():
            self.latencies[int(tenths)] += count
        for release, (first, last, count) in data["answers"].items():
            self._answer(release, first, last, count)
        for kind, count in data["errors"].items():
            self.errors[_bounded(kind, self.errors)] += count

    def percentile(self, share: float) -> float:
        """Milliseconds within which `share` of the successful requests were answered: nearest rank, to a tenth."""
        rank = math.ceil(share * self.latencies.total())
        for tenths in sorted(self.latencies):
            rank -= self.latencies[tenths]
            if rank <= 0:
                return tenths / TENTHS
        return 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "failures": self.failures,
            "skipped": self.skipped,
            "latencies": self.latencies,
            "answers": self.answers,
            "errors": self.errors,
            "failed": self.failed,
        }

    def summary(self) -> dict[str, Any]:
        """The figures that people look at."""
        return {
            "requests": self.requests,
            "failures": self.failures,
            "p50": self.percentile(0.50),
            "p95": self.percentile(0.95),
            "p99": self.percentile(0.99),
            "answers": {release: count for release, (_, _, count) in self.answers.items()},
        }

    def _answer(self, release: str, first: float, last: float, count: int) -> None:
        name = _bounded(release, self.answers)
        before = self.answers.get(name, (first, last, 0))
        self.answers[name] = (
            round(min(before[0], first), 3),
            round(max(before[1], last), 3),
            before[2] + count,
        )


def measure(path: Path) -> LoadMeasured:
    """The figures in a results file, also in one whose writer was killed. Raises OSError when it cannot be read."""
    lines = tuple(_lines(path))
    slices = [line for line in lines if "requests" in line]
    counted = [line for line in slices if line["counted"]]
    waited = next((line["waited"] for line in lines if "waited" in line), None)
    counted_from = "" if waited is None else f"the first steady answer, after {waited:.1f} s"
    if slices and not counted:
        first = next((at for at, line in enumerate(slices) if line["requests"] > line["failures"]), None)
        counted = [] if first is None else slices[first:]
        counted_from = "nothing ever answered" if first is None else f"the first answer: never steady for {STEADY:g} s"
    total = Tally()
    for line in counted:
        total.add(line)
    return LoadMeasured(
        requests=total.requests,
        failures=total.failures,
        skipped=total.skipped,
        p50_ms=total.percentile(0.50),
        p95_ms=total.percentile(0.95),
        p99_ms=total.percentile(0.99),
        seconds=max((line["at"] for line in lines), default=0.0),
        answers=total.answers,
        errors=dict(total.errors),
        counted_from=counted_from,
        began=next((line["began"] for line in lines if "began" in line), ""),
        course=tuple(_course(slices, counted)),
    )


def cut_short(path: Path) -> str:
    """Why a load ended that nobody had told to; empty for one that somebody had. Raises OSError."""
    why = next((str(line["end"]) for line in _lines(path) if "end" in line), "its prober was killed")
    return "" if why == STOPPED else why


def _course(slices: list[dict[str, Any]], counted: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The counted slices in order, neighbours added up until there are MOST_SLICES at most."""
    if not counted:
        return
    before = slices[: slices.index(counted[0])]
    begin = before[-1]["at"] if before else 0.0
    size = math.ceil(len(counted) / MOST_SLICES)
    for first in range(0, len(counted), size):
        part = counted[first : first + size]
        tally = Tally()
        for line in part:
            tally.add(line)
        end = part[-1]["at"]
        yield {"begin": begin, "end": end, **tally.summary()}
        begin = end


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        # Only the last line can be torn; it has no newline then.
        yield from (json.loads(line) for line in file if line.endswith("\n"))


def _bounded(name: str, names: Mapping[str, Any]) -> str:
    return name if name in names or len(names) < MOST_KINDS else "other"
