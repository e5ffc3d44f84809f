"""What a host job says: its frames, told apart from what its steps print, which is anything at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LINE_BYTES = 4096
FRAME = re.compile(rb"[0-9a-f]{32} [0-9]+ [a-z]+(?: .*)?")


@dataclass(frozen=True)
class Began:
    """A step of this very job has begun: the host's record says so."""

    step: str


@dataclass(frozen=True)
class Ended:
    """`status` is the step's own, or the one that an earlier session recorded (`replayed`)."""

    step: str
    status: int
    replayed: bool = False


@dataclass(frozen=True)
class Said:
    """A line of a step's output: cut to a bounded length, undecodable bytes and control characters spelled out."""

    step: str
    line: str


Frame = Began | Ended | Said


class FrameReader:
    """Splits a job's output into frames and lines.

    A frame begins with the nonce at the start of a line and carries the next number: what a step prints can neither
    guess the first nor, having read it somewhere, repeat the second.
    """

    def __init__(self, nonce: str, on_frame: Callable[[list[str]], None], on_line: Callable[[str], None]) -> None:
        self._mark = nonce.encode() + b" "
        self._on_frame = on_frame
        self._on_line = on_line
        self._number = 0
        self._line = bytearray()
        self._dropped = 0
        self._blank = False

    def feed(self, data: bytes) -> None:
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            self._end()
        self._add(rest)

    def close(self) -> None:
        """The rest of an output that ended within a line."""
        if self._line:
            self._end()

    def _add(self, part: bytes) -> None:
        room = LINE_BYTES - len(self._line)
        self._line += part[:room]
        self._dropped += max(0, len(part) - room)

    def _end(self) -> None:
        line, dropped = bytes(self._line), self._dropped
        self._line.clear()
        self._dropped = 0
        words = self._frame(line)
        # Each frame begins with a newline of its own, so that it stands alone after a line without an end.
        if self._blank and words is None:
            self._on_line("")
        self._blank = words is None and not line
        if words is not None:
            self._on_frame(words)
        elif line and not FRAME.fullmatch(line):
            self._on_line(plain(line) + (f" … ({dropped} more bytes)" if dropped else ""))

    def _frame(self, line: bytes) -> list[str] | None:
        if not line.startswith(self._mark):
            return None
        words = line.decode("utf-8", "backslashreplace").split(" ")[1:]
        if len(words) < 2 or words[0] != str(self._number + 1):
            return None
        self._number += 1
        return words[1:]


def plain(line: bytes) -> str:
    """Text that does nothing to a terminal: colours dropped, other control characters spelled out."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
