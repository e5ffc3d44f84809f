"""What hosts lacked and were given, as text: every line that root runs, or would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dojo_deploy.reporters.text import inert

MARKS = {"there": "✓", "done": "+", "lacks": "+", "failed": "✗"}


def lines(hosts: Sequence[Mapping[str, Any]], *, dry: bool) -> Iterator[str]:
    """`hosts` have host, trouble, hint, and rows: state, what, lines."""
    for host in hosts:
        yield inert(host["host"])
        for row in host["rows"]:
            yield f"  {MARKS[row['state']]} {inert(row['what'])}"
            if row["state"] != "there":
                yield from (f"      {inert(line)}" for text in row["lines"] for line in text.split("\n"))
        if host["trouble"]:
            yield f"  ✗ {inert(host['trouble'])}"
        if host["hint"]:
            yield f"    → {inert(host['hint'])}"
    states = [row["state"] for host in hosts for row in host["rows"]]
    count = sum(state in ("done", "lacks") for state in states)
    troubled = sum(bool(host["trouble"]) for host in hosts)
    yield ""
    if count:
        yield f"{count} things {'would be done; nothing was' if dry else 'done'}"
    elif not troubled:
        yield "nothing to do: all of it is there"
    if troubled:
        yield f"{troubled} of {len(hosts)} hosts could not be made ready"
