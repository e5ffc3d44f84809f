"""How a value, and what is to be known of it, is written."""

from __future__ import annotations

import json
import re

SAFE = re.compile(r"[A-Za-z/][\w./@-]*(?: (?:&&|[\w./@=:-]*[\w./@=-]))*", re.ASCII)
WORDS = re.compile(r"(?i)true|false|null|yes|no|on|off|y|n")
WIDE = 39  # columns before a comment


def word(text: str) -> str:
    """`text` as YAML that is read back as that very text."""
    return text if SAFE.fullmatch(text) and not WORDS.fullmatch(text) else quoted(text)


def quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode())


def plain(text: str) -> str:
    """For a comment: one line."""
    return re.sub(r"[^\x20-\x7e]+", " ", text)[:80]


def noted(line: str, comment: str, *, wide: int = WIDE) -> str:
    return f"{line.ljust(wide)}# {comment}" if len(line) < wide else f"{line}  # {comment}"
