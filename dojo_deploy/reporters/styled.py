"""Coloured text, made of parts: what a host wrote is never read as markup."""

from __future__ import annotations

from rich.text import Text


def line(*parts: tuple[str, str] | str) -> Text:
    """A line of (text, style) pairs and plain texts."""
    return Text.assemble(*parts, overflow="fold")
