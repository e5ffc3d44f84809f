"""Statements that change or remove rows."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.migrations.cursor import Cursor, outer, parted
from dojo_deploy.migrations.findings import Flaw, Schema
from dojo_deploy.migrations.tokens import Statement


def updating(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    """UPDATE: which rows, and columns that somebody uses or new ones."""
    cursor.take("only")
    table = cursor.name()
    if table in schema.tables or _is_picky(cursor.rest):
        return
    if _assigned(cursor.rest) and all((table, column) in schema.columns for column in _assigned(cursor.rest)):
        yield Flaw(
            "blocking",
            f"every row of {table} is written in one transaction, and who writes one of them waits",
            "in batches, outside of the migration",
        )
    else:
        yield Flaw("data loss", f"every row of {table} is overwritten", "a WHERE, and in batches")


def deleting(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    cursor.take("from")
    cursor.take("only")
    table = cursor.name()
    if table in schema.tables:
        return
    which = "the rows that its WHERE finds are" if _is_picky(cursor.rest) else "every row is"
    yield Flaw("data loss", f"{table}: {which} gone", "keep them until no release that reads them can come back")


def truncating(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    cursor.take("table")
    tables = [Cursor(part) for part in parted(cursor.rest)]
    for one in tables:
        one.take("only")
        name = one.name()
        if name not in schema.tables:
            yield Flaw(
                "data loss", f"{name}: every row is gone", "keep them until no release that reads them can come back"
            )


def _is_picky(rest: Statement) -> bool:
    """It has a WHERE of its own that does not begin with something always true."""
    words = list(outer(rest))
    keys = [token.key for token in words]
    if "where" not in keys:
        return False
    condition = [token.text for token in words[keys.index("where") + 1 :] if not token.is_sign(";")]
    return condition not in (["true"], ["1", "=", "1"], [])


def _assigned(rest: Statement) -> tuple[str, ...]:
    keys = [token.key for token in rest]
    if "set" not in keys:
        return ()
    # What follows FROM or RETURNING is no assignment.
    until = next((n for n, token in enumerate(rest) if token.key in ("from", "returning", "where")), len(rest))
    return tuple(Cursor(part).name() for part in parted(rest[keys.index("set") + 1 : until]))
