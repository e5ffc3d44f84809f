"""JavaScript object literals, read and never evaluated: what is no literal is its last one, or None."""

from __future__ import annotations

import re
from typing import Any

MAX_DEPTH = 40
CLOSING = {"{": "}", "[": "]", "(": ")"}
COMMENT_OR_TEXT = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`", re.DOTALL
)
WORD = re.compile(r"[A-Za-z_$][\w$]*")
LAST = re.compile(r"(?:\|\||\?\?|:)\s*(?P<it>'[^']*'|\"[^\"]*\"|`[^`]*`|-?\d+(?:\.\d+)?)\s*\)*\s*$")


def value_of(text: str, key: str) -> Any:
    """The value of the first `key: …` in a program: dict, list, str, int, float, bool; None where it has none."""
    plain = COMMENT_OR_TEXT.sub(lambda found: " " if found[0].startswith("/") else found[0], text)
    at = re.search(rf"(?<![\w.$])['\"]?{re.escape(key)}['\"]?\s*:", plain)
    try:
        return _Reader(plain, at.end()).value() if at else None
    except (IndexError, RecursionError):
        return None


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._depth = 0

    def value(self) -> Any:
        self._skip(" \t\r\n")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        opening = self._text[self._at]
        found = self._object() if opening == "{" else self._array() if opening == "[" else literal(self._expression())
        self._depth -= 1
        return found

    def _object(self) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        self._at += 1
        while not self._ends():
            key = self._key()
            self._skip(" \t\r\n")
            if key and self._text[self._at] == ":":
                self._at += 1
                entries[key] = self.value()
            else:  # a spread, a method, a name that stands for itself
                self._expression()
        return entries

    def _array(self) -> list[Any]:
        items: list[Any] = []
        self._at += 1
        while not self._ends():
            items.append(self.value())
        return items

    def _ends(self) -> bool:
        self._skip(" \t\r\n,;")
        if self._text[self._at] in "}])":
            self._at += 1
            return True
        return False

    def _key(self) -> str:
        found = COMMENT_OR_TEXT.match(self._text, self._at) or WORD.match(self._text, self._at)
        if not found:
            return ""
        self._at = found.end()
        return found[0].strip("'\"`")

    def _expression(self) -> str:
        """All until the comma or the bracket that ends it."""
        start, inside = self._at, 0
        while self._at < len(self._text):
            quoted = COMMENT_OR_TEXT.match(self._text, self._at)
            sign = self._text[self._at]
            if quoted:
                self._at = quoted.end()
                continue
            if not inside and sign in ",}])":
                break
            inside += (sign in CLOSING) - (sign in CLOSING.values())
            self._at += 1
        return self._text[start : self._at].strip()

    def _skip(self, signs: str) -> None:
        while self._text[self._at] in signs:
            self._at += 1


def literal(raw: str) -> Any:
    """The value of one literal, or of the default that an expression ends with (`process.env.PORT || 3000`)."""
    if raw in ("true", "false"):
        return raw == "true"
    if re.fullmatch(r"-?\d{1,15}", raw):
        return int(raw)
    if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", raw):
        return float(raw)
    quoted = COMMENT_OR_TEXT.fullmatch(raw)
    if quoted and raw[0] in "'\"`":
        return None if raw[0] == "`" and "${" in raw else re.sub(r"\\(.)", r"\1", raw[1:-1])
    found = LAST.search(raw)
    return literal(found["it"]) if found else None
