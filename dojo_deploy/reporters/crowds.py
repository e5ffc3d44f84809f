"""The fleet's rows, where many hosts look alike: those take one row, and whoever differs has one of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

COLUMNS = ("current", "running", "health", "balancer", "verdict")
HEADS = ("link", "processes", "health", "balancer", "verdict")
MOST_ROWS = 16


def crowds(rows: Mapping[str, Mapping[str, str]]) -> list[tuple[tuple[str, ...], Mapping[str, str]]]:
    """Hosts with the values that they share."""
    if len(rows) <= MOST_ROWS:
        return [((host,), values) for host, values in rows.items()]
    looks = Counter(tuple(values.get(column, "") for column in COLUMNS) for values in rows.values())
    usual = looks.most_common(1)[0][0]
    alike = tuple(host for host, values in rows.items() if tuple(values.get(name, "") for name in COLUMNS) == usual)
    others = [((host,), values) for host, values in rows.items() if host not in set(alike)]
    shown, rest = others[:MOST_ROWS], others[MOST_ROWS:]
    crowd = [(alike, dict(zip(COLUMNS, usual, strict=True)))]
    more = [(tuple(host for (host,), _ in rest), {"verdict": "not shown"})] if rest else []
    return [*crowd, *shown, *more]
