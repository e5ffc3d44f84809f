"""Coloured text, made of parts: what a host wrote is never read as markup."""

from __future__ import annotations

import textwrap

from rich.cells import chop_cells
from rich.text import Text


def line(*parts: tuple[str, str] | str) -> Text:
    """A line of (text, style) pairs and plain texts."""
    return Text.assemble(*parts, overflow="fold")


def quoted(lead: str, style: str, text: str, width: int) -> list[Text]:
    """What a host said, to the letter, behind `lead` on each line that it takes."""
    return [line((lead, style), part) for part in chop_cells(text, max(width - len(lead), 20)) or [""]]


def paragraph(lead: tuple[str, str], text: str, style: str, width: int) -> list[Text]:
    """Words, wrapped and indented to stand beside `lead`."""
    parts = textwrap.wrap(text, max(width - len(lead[0]), 20)) or [""]
    return [line(lead if not number else " " * len(lead[0]), (part, style)) for number, part in enumerate(parts)]
