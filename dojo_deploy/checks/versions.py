"""Whether a version is within a range as package.json's `engines` has it."""

from __future__ import annotations

import re

Version = tuple[int, ...]
PART = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?[-+.\w]*")
HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


def allows(wanted: str, version: str) -> bool:
    """True also for what cannot be read: npm is the judge of that."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    if not found:
        return True
    have = tuple(map(int, found.groups()))
    return any(_all(one, have) for one in wanted.split("||"))


def installing(wanted: str) -> str:
    """The line that brings a Node of such a version: `n` takes a number, and the newest of that, but no range."""
    majors = [int(found) for found in re.findall(r"(?<![\d.])\d+", wanted)]
    candidates = [major + step for step in (0, -1, 1) for major in majors]
    chosen = next((str(major) for major in candidates if allows(wanted, f"{major}.999.0")), "lts")
    return f"sudo npm install --global n && sudo n {chosen}"


def _all(wanted: str, have: Version) -> bool:
    text = HYPHEN.sub(r">=\1 <=\2", wanted.strip())
    parts = list(PART.finditer(text))
    if PART.sub("", text).strip():
        return True
    return all(_one(part[1] or "", part.groups()[1:], have) for part in parts)


def _one(sign: str, texts: tuple[str | None, ...], have: Version) -> bool:
    given = tuple(int(text) for text in texts if text and text.isdigit())
    if not given:
        return True
    low = (*given, 0, 0)[:3]
    if sign in (">=", "<"):
        return (have >= low) == (sign == ">=")
    if sign in (">", "<="):
        return (have[: len(given)] > given) == (sign == ">")
    if sign == "^":
        # Up to the first part that is not 0.
        kept = next((number + 1 for number, part in enumerate(given) if part), len(given))
        return have >= low and have[:kept] == given[:kept]
    kept = min(len(given), 2) if sign == "~" else len(given)
    return have >= low and have[:kept] == given[:kept]
