"""A guide as what somebody types: the commands of its `console` blocks, with what they are shown to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS = re.compile(r"\s+# ends (\d+)$")


@dataclass(frozen=True)
class Typed:
    """`shown`: lines that the output has, in this order; `…` stands for anything within a line."""

    command: str
    status: int
    shown: tuple[str, ...]

    def missing(self, output: str) -> list[str]:
        """Those of `shown` that the output has not, or not there."""
        rest, missing = output.splitlines(), []
        for line in self.shown:
            wanted = re.compile(".*".join(map(re.escape, line.split("…"))))
            place = next((number for number, text in enumerate(rest) if wanted.search(text)), None)
            if place is None:
                missing.append(line)
            else:
                rest = rest[place + 1 :]
        return missing


def typed(guide: Path) -> tuple[Typed, ...]:
    return tuple(one for block in BLOCK.findall(guide.read_text("utf-8")) for one in _commands(block))


def _commands(block: str) -> Iterator[Typed]:
    assert block.startswith("$ "), f"a console block begins with what is typed: {block}"
    for part in block.removeprefix("$ ").split("\n$ "):
        first, *shown = part.rstrip("\n").split("\n")
        ends = ENDS.search(first)
        yield Typed(ENDS.sub("", first), int(ends[1]) if ends else 0, tuple(line for line in shown if line))
