"""What can be wrong with a statement, in words: the reason, and the form that does the same without it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dojo_deploy.migration import GRAVE as GRAVE

# From the mildest to the worst. `contract`, `data loss` and `unreadable` need a person's word before they may run.
KINDS = ("unjudged", "blocking", "fails", "contract", "data loss", "unreadable")


@dataclass(frozen=True)
class Flaw:
    """`kind` is one of KINDS; `line` 0: the statement's own."""

    kind: str
    reason: str
    instead: str = ""
    line: int = 0


@dataclass
class Schema:
    """What the statements read so far have made: nobody uses it yet, so nothing done to it can hurt."""

    tables: set[str] = field(default_factory=set)
    temporary: set[str] = field(default_factory=set)  # of these; they hide others of the same name
    columns: set[tuple[str, str]] = field(default_factory=set)
    others: set[str] = field(default_factory=set)  # indexes, views, types, sequences, functions
    checks: dict[tuple[str, str], str] = field(default_factory=dict)  # table and constraint -> column that is not null
    proved: set[tuple[str, str]] = field(default_factory=set)  # table and column whose check was validated
