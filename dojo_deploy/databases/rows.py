"""What is told to psql and what it tells: values as its variables, and rows of ours among whatever else it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dojo_deploy.database import Contents


def sets(values: Mapping[str, str]) -> str:
    """Lines that give psql its variables."""
    return "".join(f"\\set {name} {_quoted(value)}\n" for name, value in values.items())


def rows(text: str) -> Iterator[tuple[str, list[Any]]]:
    """The lines that are rows of ours: name, values."""
    for line in text.split("\n"):  # not splitlines: a table's name may have any of Unicode's line ends
        if line.startswith('["'):
            name, *values = json.loads(line)
            yield name, values


def contents_of(told: Iterable[tuple[str, list[Any]]]) -> Contents:
    """What COUNT's rows say."""
    found = list(told)
    single = {name: values[0] for name, values in found if len(values) == 1}
    return Contents(
        {values[0]: values[1] for name, values in found if name == "rows"},
        constraints=single.get("constraints", 0),
        indexes=single.get("indexes", 0),
        migrations=tuple(values[0] for name, values in found if name == "migration"),
    )


def complaint(text: str) -> str:
    """The end of all that is no row of ours."""
    return "\n".join(line for line in text.splitlines() if not line.startswith('["'))[-1000:]


def _quoted(value: str) -> str:
    """As psql's `\\set` reads it, which ends at the end of a line."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"
