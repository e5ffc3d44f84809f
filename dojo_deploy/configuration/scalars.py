"""What an unquoted word means: the core of YAML 1.2, without its leading zeros; and durations."""

from __future__ import annotations

import math
import re

from dojo_deploy.configuration.tree import Scalar

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# A leading zero stays text: 0123456 is a commit, 010 a house style; more than 18 digits are an identifier.
WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
REAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?){unit})?" for unit in UNITS))

YES = ("yes", "on", "y")
NO = ("no", "off", "n")


def scalar(text: str) -> Scalar:
    """The value of an unquoted scalar: null, true, false, a number, or else the text itself."""
    if text in WORDS:
        return WORDS[text]
    if len(text) <= 64:
        if WHOLE.fullmatch(text):
            return int(text)
        if not text.lstrip("+-").isdigit() and REAL.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


def duration(text: str) -> float | None:
    """Seconds of `1h30m`, `10m`, `2s`, `500ms`; None when it is no duration."""
    found = DURATION.fullmatch(text) if text else None
    if found is None:
        return None
    return math.fsum(float(part) * unit for part, unit in zip(found.groups(), UNITS.values(), strict=True) if part)


def remedy(text: str, wanted: type) -> str:
    """What to write instead of a word that other YAML readers take for something else; empty when there is nothing."""
    lower = text.lower()
    if wanted is bool and lower in YES + NO:
        return "write true" if lower in YES else "write false"
    if wanted is int and re.fullmatch(r"0+[0-9]+", text):
        return f"write {int(text[:18])} without the leading zero"
    if wanted is int and re.fullmatch(r"[0-9]+(_[0-9]+)+", text):
        return f"write {text.replace('_', '')}"
    if wanted in (int, float) and re.fullmatch(r"[0-9]+(:[0-9]+)+", text):
        return f'"{text}" is text, never a number in base 60'
    return ""
