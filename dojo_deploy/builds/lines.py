"""A recipe's lines, run in order: output as it comes, one deadline for all of them, a cause for a failure."""

from __future__ import annotations

import codecs
import collections
import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Clock
from dojo_deploy.inventory import Build

LAST = 15  # lines of output that a failure shows
LONGEST = 4000  # characters of a line
CHUNK = 65536

# A line of shell, the seconds left, where output goes: the exit status, or None when it was ended for being late.
Runner = Callable[[str, float, Callable[[bytes], None]], "int | None"]


def run_lines(
    recipe: Build, run: Runner, *, masked: Callable[[str], str], say: Callable[[str], None], clock: Clock
) -> None:
    """Raises RefusedError for the first line that fails, or when `recipe.within` is over."""
    end = clock.monotonic() + recipe.within
    for number, line in enumerate(recipe.run, 1):
        say(f"$ {line}")
        last: collections.deque[str] = collections.deque(maxlen=LAST)
        text = Text(_both(last.append, say), masked)
        status = run(line, max(0.0, end - clock.monotonic()), text.take)
        text.end()
        if status == 0:
            continue
        cause = f"exit status {status}" if status is not None else f"not done within the build's {recipe.within:g} s"
        raise RefusedError(f"build command {number} of {len(recipe.run)}: {cause}: {line}", hint="\n    ".join(last))


def _both(one: Callable[[str], None], other: Callable[[str], None]) -> Callable[[str], None]:
    def heard(line: str) -> None:
        one(line)
        other(line)

    return heard


class Text:
    """Bytes in, whole lines out, secrets masked; a progress bar's carriage returns end lines too."""

    def __init__(self, heard: Callable[[str], None], masked: Callable[[str], str]) -> None:
        self._sink = heard
        self._masked = masked
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, data: bytes) -> None:
        *lines, self._rest = re.split(r"\r\n|\n|\r(?!\Z)", self._rest + self._decoder.decode(data))
        for line in lines:
            self._heard(line)

    def end(self) -> None:
        if rest := (self._rest + self._decoder.decode(b"", final=True)).rstrip("\r"):
            self._heard(rest)
        self._rest = ""

    def _heard(self, line: str) -> None:
        self._sink(self._masked(line)[:LONGEST])


@dataclass(frozen=True)
class Line:
    """One line of shell on this machine, in a session of its own."""

    text: str
    folder: Path
    environment: Mapping[str, str]

    def run(self, *, left: float, heard: Callable[[bytes], None], clock: Clock) -> int | None:
        """Its exit status (128 + n after signal n), or None when it was killed `left` seconds after its start."""
        end = clock.monotonic() + left
        process = subprocess.Popen(
            ("/bin/sh", "-c", self.text), cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, umask=0o022,
        )  # fmt: skip
        chunks: queue.Queue[bytes] = queue.Queue(maxsize=64)
        threading.Thread(target=_read, args=(process, chunks), daemon=True).start()
        try:
            while clock.monotonic() < end:
                try:
                    chunk = chunks.get(timeout=0.05)
                except queue.Empty:
                    # A child that it left behind may hold the pipe for ever.
                    if process.poll() is not None:
                        break
                    continue
                if not chunk:
                    break
                heard(chunk)
            status = process.wait(timeout=max(0.0, end - clock.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(process)
        return status if status >= 0 else 128 - status


def _read(process: subprocess.Popen[bytes], chunks: queue.Queue[bytes]) -> None:
    assert process.stdout
    with process.stdout as output:
        while chunk := os.read(output.fileno(), CHUNK):
            chunks.put(chunk)
    chunks.put(b"")


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The group too when the line itself has ended: what it left behind must not write into the tree while it is packed.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
