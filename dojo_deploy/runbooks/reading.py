"""A Markdown document as lines, each with its number, its heading, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

COMMAND, COMMENT, PROSE, DATA = "command", "comment", "prose", "data"
FENCE = re.compile(r"^\s*(```|~~~)\s*([\w-]*)")
HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
TRAILING = re.compile(r"\s+#.*$")
PROMPT = re.compile(r"^\s*\$\s+")
HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
# What is given to these on standard input is run.
RUNS_ITS_INPUT = re.compile(r"^(sudo\s+)?(\S*/)?(sh|bash|zsh|ssh|psql|redis-cli|mysql|node)\b")
KEY = re.compile(r"^(\s*)(-\s+)?[\w.$-]+:(\s|$)")
ITEM = re.compile(r"^\s*-\s")
# Languages of fences in which nobody types: files, and what programs print.
FILES = frozenset((
    "yaml", "yml", "json", "jsonc", "toml", "ini", "env", "dotenv", "properties", "nginx", "apache", "conf", "xml",
    "html", "css", "js", "javascript", "ts", "typescript", "jsx", "tsx", "python", "py", "ruby", "diff", "markdown",
    "md", "dockerfile", "hcl", "prisma", "text", "output",
))  # fmt: skip


@dataclass(frozen=True)
class Line:
    """`text` of a command is without its prompt and comment, and with the lines that continue it.

    Data is what stands in a fence and is not typed: a file in its own language, YAML, a here-document.
    """

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
    until, deep = "", -1  # the word that ends a here-document; how far the key is indented that YAML stands under
    rows = text.splitlines()
    whole = enumerate(rows, 1)
    for number, line in whole:
        opened = FENCE.match(line)
        if opened and (not fence or opened[1] == mark):
            fence, mark, language = (0, "", "") if fence else (number, opened[1], opened[2].lower())
            until, deep = "", -1
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
            continue
        deep = _depth(line, deep)
        if until or language in FILES or deep >= 0:
            until = "" if line.strip() == until else until
            yield Line(number, line.strip(), DATA, heading, language, fence)
        elif line.lstrip().startswith("#"):
            yield Line(number, line.strip(), COMMENT, heading, language, fence)
        elif line.strip():
            said, at = line, number
            # One that is continued by the end of its fence is cut off, and does not swallow what comes after.
            while said.endswith("\\") and at < len(rows) and not FENCE.match(rows[at]):
                said, at = said[:-1] + next(whole)[1], at + 1
            command = TRAILING.sub("", PROMPT.sub("", said)).strip()
            here = HERE.search(command)
            until = here[2] if here and not RUNS_ITS_INPUT.match(command) else ""
            yield Line(number, command, COMMAND, heading, language, fence)


def _depth(line: str, deep: int) -> int:
    """How far the key is indented that `line` belongs to, in YAML that stands in a fence; -1: it is a command."""
    key = KEY.match(line)
    if key:
        return len(key[1]) if deep < 0 else min(deep, len(key[1]))
    indent = len(line) - len(line.lstrip())
    return deep if deep >= 0 and (not line.strip() or indent > deep or ITEM.match(line)) else -1
