"""A Markdown document as lines, each with its number, its heading, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

COMMAND, COMMENT, PROSE = "command", "comment", "prose"
FENCE = re.compile(r"^\s*(```|~~~)\s*([\w-]*)")
HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
TRAILING = re.compile(r"\s+#.*$")
PROMPT = re.compile(r"^\s*\$\s+")


@dataclass(frozen=True)
class Line:
    """`text` of a command is without its prompt and comment, and with the lines that continue it."""

    number: int
    text: str
    kind: str
    heading: str = ""  # with those above it, the outermost first: `Database Operations / Restore`
    language: str = ""  # of the fence it stands in
    fence: int = 0  # number of the line that opens it; 0 outside


def lines(text: str) -> tuple[Line, ...]:
    return tuple(_lines(text))


def _lines(text: str) -> Iterator[Line]:
    above: list[tuple[int, str]] = []
    language, fence, mark = "", 0, ""
    whole = enumerate(text.splitlines(), 1)
    for number, line in whole:
        opened = FENCE.match(line)
        if opened and (not fence or opened[1] == mark):
            fence, mark, language = (0, "", "") if fence else (number, opened[1], opened[2].lower())
            continue
        heading = " / ".join(title for _, title in above)
        if not fence:
            found = HEADING.match(line)
            if found:
                above = [(depth, title) for depth, title in above if depth < len(found[1])]
                above.append((len(found[1]), found[2]))
                heading = " / ".join(title for _, title in above)
            kind = COMMAND if PROMPT.match(line) else PROSE
            yield Line(number, PROMPT.sub("", line) if kind == COMMAND else line, kind, heading)
        elif line.lstrip().startswith("#"):
            yield Line(number, line.strip(), COMMENT, heading, language, fence)
        elif line.strip():
            said = line
            while said.endswith("\\"):
                said = said[:-1] + next(whole, (0, ""))[1]
            command = TRAILING.sub("", PROMPT.sub("", said)).strip()
            yield Line(number, command, COMMAND, heading, language, fence)
