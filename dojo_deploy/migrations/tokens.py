"""PostgreSQL's SQL as tokens: enough to tell statements, names and keywords from strings, comments and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

WORD, NAME, STRING, BODY, NUMBER, SIGN, META, BROKEN = (
    "word", "name", "string", "body", "number", "sign", "meta", "broken",
)  # fmt: skip
LEXEMES = r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*)
  | (?P<block>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
  | (?P<name>(?:[uU]&)?"(?:[^"]|"")*")
  | (?P<open>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<number>\d[\w.]*|\.\d[\w.]*|\$\d+)
  | (?P<meta>\\[^\n]*)
  | (?P<broken>['"])
  | (?P<sign>::|.)
"""  # compiled by its first use, which many a program that imports this never comes to
COMMENT_EDGE = re.compile(r"/\*|\*/")
COPY_END = re.compile(r"^\\\.\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Token:
    """`text` as PostgreSQL understands it: unquoted words in lower case, names and strings without their quotes."""

    kind: str
    text: str
    line: int

    @property
    def key(self) -> str:
        """The keyword that this may be; empty for names, strings and signs."""
        return self.text if self.kind == WORD else ""

    def is_sign(self, sign: str) -> bool:
        return self.kind == SIGN and self.text == sign


Statement = tuple[Token, ...]


def statements(sql: str, *, line: int = 1) -> tuple[Statement, ...]:
    """The statements of a text whose first line is `line`; one that never ends has a token of the kind `broken`."""
    found: list[Statement] = []
    current: list[Token] = []
    depth = 0
    for token in tokens(sql, line=line):
        if token.is_sign(";") and not depth:
            if current:
                found.append(tuple(current))
            current = []
            continue
        # A body in SQL's own words has its semicolons between BEGIN ATOMIC and the END that belongs to it.
        if token.key == "atomic" and current and current[-1].key == "begin":
            depth = 1
        elif depth and token.key == "case":
            depth += 1
        elif depth and token.key == "end":
            depth -= 1
        current.append(token)
    if current:
        found.append(tuple(current))
    return tuple(found)


def tokens(sql: str, *, line: int = 1) -> Iterator[Token]:
    """Every token but white space and comments."""
    lexemes = re.compile(LEXEMES, re.VERBOSE | re.DOTALL)  # re keeps it
    position, first, copies = 0, "", False
    while position < len(sql):
        match = lexemes.match(sql, position)
        assert match, "the last branch takes any character"
        kind, text = str(match.lastgroup), match.group()
        end = match.end()
        made: Token | None = None
        if kind == "block":
            end = _comment_end(sql, position)
            made = None if end > 0 else Token(BROKEN, "a comment that never ends", line)
        elif kind == "open":
            close = sql.find(text, end)
            body = sql[end:close] if close >= 0 else ""
            made = Token(BODY, body, line) if close >= 0 else Token(BROKEN, f"a body {text} that never ends", line)
            end = close + len(text) if close >= 0 else -1
        elif kind == "broken":
            made, end = Token(BROKEN, f"a quote {text} that never ends", line), -1
        elif kind not in ("space", "comment"):
            made = Token(kind, _meaning(kind, text), line)
        end = end if end > 0 else len(sql)
        if made:
            yield made
            first, copies = first or made.key, copies or (first == "copy" and made.key == "stdin")
            if made.is_sign(";"):
                end = _past_copied_rows(sql, end) if copies else end
                first, copies = "", False
        line += sql.count("\n", position, end)
        position = end


def _meaning(kind: str, text: str) -> str:
    if kind == WORD:
        return text.lower()
    if kind == NAME:
        return text[text.index('"') + 1 : -1].replace('""', '"')
    if kind == STRING:
        return text[text.index("'") + 1 : -1].replace("''", "'")
    return text


def _comment_end(sql: str, start: int) -> int:
    """Behind the comment that begins at `start`, with those nested in it; 0 when it never ends."""
    depth = 0
    for edge in COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return 0


def _past_copied_rows(sql: str, end: int) -> int:
    over = COPY_END.search(sql, end)
    return over.end() if over else len(sql)
