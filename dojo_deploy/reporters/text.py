"""How values are written for people, and how text from hosts is made harmless."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

from dojo_deploy.command import quote
from dojo_deploy.events import Event

Redact = Callable[[str], str]
Some = TypeVar("Some", bound=Event)

# Controls become pictures of themselves; what is invisible or turns the writing direction becomes its escape.
_PICTURES = {code: chr(0x2400 + code) for code in range(32)} | {0x7F: "␡", 0x09: "    "}
_ESCAPED = [*range(0x80, 0xA0), 0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
_INERT = _PICTURES | {code: f"\\u{code:04x}" for code in _ESCAPED}


def redactor(redact: Redact) -> Callable[[Some], Some]:
    """A function that gives an event with `redact` applied to every text in it, names of hosts and steps included."""
    seen = lru_cache(4096)(redact)  # most texts of a run are names, and come again and again

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return seen(value)
        if isinstance(value, Mapping):
            return {clean(key): clean(item) for key, item in value.items()}
        return type(value)(map(clean, value)) if isinstance(value, (list, tuple)) else value

    def clean_event(event: Some) -> Some:
        return type(event)(**{item.name: clean(getattr(event, item.name)) for item in fields(event)})

    return clean_event


def typed(words: str, inventory: str = "") -> str:
    """What a person types: `invoke deploy -i production --ref v2`; `inventory` as `RunFinished` names it."""
    task, _, rest = words.partition(" ")
    return " ".join(part for part in ("invoke", task, f"-i {quote(inventory)}" if inventory else "", rest) if part)


def inert(text: str) -> str:
    """One line in which nothing moves a cursor, sets a title, or hides."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_INERT).encode("utf-8", "backslashreplace").decode()


def inert_lines(text: str) -> list[str]:
    return [inert(line) for line in text.strip("\n").split("\n")]


def seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value < 1 else f"{value:,.0f} ms"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def named(hosts: Iterable[str], *, most: int = 4) -> str:
    """The hosts by name while they are few, their number when they are many."""
    names = tuple(hosts)
    return " ".join(names) if len(names) <= most else counted(len(names), "host")


def fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def standing_by(standby: Mapping[str, str]) -> str:
    """`9e8c1 stands by in blue until 11-24 18:19 UTC`; empty for nothing."""
    if not standby:
        return ""
    until = standby.get("until", "")[5:16].replace("T", " ")
    what = inert(standby.get("release", "")) or "an older colour"
    return f"{what} stands by in {inert(standby.get('slot', ''))}" + (f" until {inert(until)} UTC" if until else "")
