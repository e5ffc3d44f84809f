"""What users see during a run: a load through the balancer, made and measured by a process of its own.

Of its own, so that a busy runner delays no request and no request delays the runner.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import replace
from pathlib import Path
from typing import IO

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.events import LoadMeasured
from dojo_deploy.prober.figures import cut_short, measure

__all__ = ["Prober", "measure"]

START_WITHIN = 15.0
ENDS_WITHIN = 10.0  # for the last requests, each of which has five seconds


class Prober:
    """A load that is on. Stop it in a `finally`: only that tells what was seen."""

    def __init__(self, process: subprocess.Popen[bytes], results: Path, complaints: IO[bytes]) -> None:
        self.results = results
        self._process = process
        self._complaints = complaints

    @classmethod
    def start(
        cls,
        url: str,
        *,
        work: Path,
        field: str = "",
        header: str = "",
        rate: float = 400.0,
        connections: int = 8,
        from_first_success: bool = False,
    ) -> Prober:
        """Returns once the first request has ended, well or not.

        `work` is the folder for the results, made 0700 if need be. `field` is the dotted JSON field of an answer that
        names its release, `header` the response header that does where there is no such field. With
        `from_first_success` nothing counts before the site answers steadily. Raises ConfigError for an address that
        cannot be asked, RefusedError when the process does not start.
        """
        _check(url, rate, connections)
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        results = work / f"load-{os.getpid()}-{time.monotonic_ns()}.jsonl"
        words = [sys.executable, "-m", __name__, url, str(results), "--field", field, "--header", header]
        words += ["--rate", str(rate), "--connections", str(connections)]
        words += ["--from-first-success"] if from_first_success else []
        # A session of its own: Ctrl-C is the runner's to answer, and the load goes on while it undoes.
        # Nobody reads its complaints while it runs, so they go to a file: a full pipe would stop it.
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed by _end
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True
        )
        prober = cls(process, results, complaints)
        prober._await_ready()
        return prober

    def mark(self, text: str) -> None:
        """A line in the results, at this moment. A prober that has ended already takes no notice."""
        self._tell(f"mark {' '.join(text.split())}")

    def so_far(self) -> LoadMeasured:
        """The figures until now; the load goes on. Raises OSError when there are none."""
        return measure(self.results)

    def stop(self, *, at_least: int = 0, within: float = 30.0) -> LoadMeasured:
        """Goes on until `at_least` requests counted or `within` seconds passed; ends the process; reads the figures.

        Raises RefusedError when there are none.
        """
        self._tell(f"stop {at_least} {within}")
        try:
            self._process.wait(within + ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            pass  # what it has seen so far is in the file
        finally:
            self._end()
        try:
            return replace(measure(self.results), cut_short=cut_short(self.results))
        except OSError as exc:
            raise RefusedError(f"the load prober left no results: {exc}") from exc

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def _await_ready(self) -> None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            said = self._process.stdout.readline() if selector.select(START_WITHIN) else b""
        if said.strip() != b"ready":
            complaint = self._end()
            raise RefusedError(f"the load prober did not start: {complaint or 'no word from it'}")

    def _end(self) -> str:
        """No process afterwards; its last words."""
        self._process.kill()
        self._process.communicate()
        if self._complaints.closed:
            return ""
        with self._complaints as file:
            file.seek(0)
            return file.read().decode("utf-8", "backslashreplace").strip()[-500:]


def _check(url: str, rate: float, connections: int) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is no address to ask", key="url", hint="https://example.org")
    if parts.username or parts.password:
        raise ConfigError("a password in an address would be seen by every user of this machine", key="url")
    if rate <= 0 or connections <= 0:
        raise ConfigError("a load needs a rate and connections above zero", key="probe")
