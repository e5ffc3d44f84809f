"""The results file: whole lines, appended as time goes on, so that a kill loses nothing that was seen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dojo_deploy.prober.figures import STEADY, Tally


class Record:
    """Takes every outcome and appends slices to the file. Times are seconds since the load began.

    With `waiting`, the site is not there yet: nothing counts before it has answered for STEADY seconds without a
    failure. A balancer that reloads has old and new workers accept side by side for a moment, so one answer is not it.
    """

    def __init__(self, path: Path, *, waiting: bool) -> None:
        self.waiting = waiting
        self.counted = 0
        self.made = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._slice = Tally()
        self._early = Tally()  # sent before anything counted, failed later
        self._since: float | None = None if waiting else 0.0  # first answer of the steady stretch

    def begin(self, at: str) -> None:
        """The moment of second 0, UTC."""
        self._append({"at": 0.0, "began": at})

    def succeed(self, sent: float, second: float, release: str) -> None:
        self.made += 1
        if self.waiting:
            if self._since is None:
                self._write(second, counted=False)
                self._since = second
            elif second - self._since >= STEADY:
                self._settle(second)
        self._slice.succeed(second, (second - sent) * 1000, release)
        self.counted += not self.waiting

    def fail(self, sent: float, second: float, kind: str) -> None:
        self.made += 1
        if self._since and sent < self._since:
            self._early.fail(second, kind)
            return
        self._slice.fail(second, kind)
        self.counted += not self.waiting
        if self.waiting and self._since is not None:
            self._write(second, counted=False)
            self._since = None

    def skip(self) -> None:
        """A request was due that could not be made: too many are under way."""
        self._slice.skipped += 1

    def mark(self, second: float, text: str) -> None:
        self._append({"at": round(second, 3), "mark": text})

    def flush(self, second: float) -> None:
        if not (self.waiting and self._since is not None):
            self._write(second, counted=not self.waiting)
        early, self._early = self._early, Tally()
        if early:
            self._append({"at": round(second, 3), "counted": False, **early.as_dict()})

    def close(self, second: float, why: str) -> None:
        self._write(second, counted=not self.waiting)
        self.flush(second)
        self._append({"at": round(second, 3), "end": why})
        os.close(self._file)

    def _settle(self, second: float) -> None:
        self.waiting = False
        self.counted = self._slice.requests
        self._append({"at": round(second, 3), "waited": round(self._since or 0.0, 3)})

    def _write(self, second: float, *, counted: bool) -> None:
        done, self._slice = self._slice, Tally()
        if done:
            self._append({"at": round(second, 3), "counted": counted, **done.as_dict()})

    def _append(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        while data:
            data = data[os.write(self._file, data) :]
