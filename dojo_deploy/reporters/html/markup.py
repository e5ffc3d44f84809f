"""HTML, made of elements: text that goes in is escaped, in this one place; nothing else makes markup of a value."""

from __future__ import annotations

import html
from collections.abc import Iterable

from dojo_deploy.reporters.text import inert
from dojo_deploy.reporters.text import typed as line_of

VOID = ("meta", "br", "link")


class Markup(str):
    """Text that is HTML already. Only `element`, `joined` and this package's own constants make it."""

    __slots__ = ()


Part = str | Markup


def element(name: str, /, *parts: Part, **attributes: str | int | float | bool) -> Markup:
    """`<name …>parts</name>`. `class_` is the class; `_` in other names is `-`; False leaves an attribute out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(parts)}</{name}>")


def joined(parts: Iterable[Part], by: str = "") -> Markup:
    return Markup(escaped(by).join(part if isinstance(part, Markup) else escaped(part) for part in parts))


def escaped(text: str) -> Markup:
    """Text as text, whatever a host wrote: no tag, no attribute's end, no control, nothing that hides or reverses."""
    return Markup("\n".join(html.escape(inert(line)) for line in str(text).split("\n")))


def clipped(text: str, most: int) -> str:
    """At most so many characters, and how many there were more."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def typed(words: str, inventory: str = "") -> Markup:
    """A command, as it is typed."""
    return element("code", line_of(words, inventory), class_="typed")


def number(value: float) -> str:
    """For coordinates: short."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _attribute(key: str, value: str | int | float | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'
