"""The way back from a migration, as SQL that is shipped forwards: for what can be taken back, and what cannot. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dojo_deploy.migrations.cursor import Cursor, parted
from dojo_deploy.migrations.tokens import BROKEN, META, NAME, WORD, Statement, statements

KINDS = ("table", "view", "sequence", "type", "schema", "extension", "domain", "collation", "trigger", "policy")
NOTHING = frozenset({
    "select", "values", "comment", "set", "reset", "show", "begin", "start", "commit", "end", "analyze", "vacuum",
    "notify", "explain", "checkpoint", "reindex", "refresh", "cluster", "lock", "discard",
})  # fmt: skip
GONE = "what was there before is in no file: invoke backup.restore, or write it by hand"
BEFORE = "what it was before stands in an earlier migration, not in this one"
MAYBE = "IF NOT EXISTS, or OR REPLACE: whether it was there before is not known"


@dataclass(frozen=True)
class Part:
    """One statement, or one action of an ALTER TABLE. `sql` takes it back; empty: nothing does, and `why`."""

    line: int
    sql: str = ""
    why: str = ""


def reversed_parts(sql: str) -> tuple[Part, ...]:
    """In the order in which they are to run: last first. What leaves no trace in the schema has no part."""
    found = [part for statement in statements(sql) for part in _parts(statement)]
    return tuple(reversed(found))


def _parts(statement: Statement) -> Iterator[Part]:
    line, verb = statement[0].line, statement[0].key
    if any(token.kind in (BROKEN, META) for token in statement):
        yield Part(line, why="it cannot be read")
        return
    cursor = Cursor(statement)
    cursor.at = 1
    if verb in NOTHING:
        return
    if verb == "create":
        yield _created(cursor, line)
    elif verb == "alter" and cursor.take("table"):
        yield from _table(cursor)
    elif verb == "alter":
        yield _renamed(cursor, line)
    else:
        lost = verb in ("drop", "delete", "truncate", "update", "merge", "with", "insert", "copy")
        yield Part(line, why=f"{verb}: {GONE}" if lost else f"{verb or 'this'}: no way back from it is known")


def _created(cursor: Cursor, line: int) -> Part:
    replaced = cursor.take("or", "replace")
    cursor.take_any("temp", "temporary", "unlogged")
    cursor.take_any("recursive", "constraint")
    cursor.take("unique")
    materialized = "MATERIALIZED " if cursor.take("materialized") else ""
    kind = cursor.take_any("index", *KINDS)
    cursor.take("concurrently")
    maybe = cursor.take("if", "not", "exists") or replaced
    if not kind:
        return Part(line, why=f"create {cursor.next.text}: no way back from it is known")
    if maybe:
        return Part(line, why=f"create {kind}: {MAYBE}")
    if kind == "index" and cursor.next.key == "on":
        return Part(line, why="create index: PostgreSQL gave it a name that is not in the file")
    name = _name(cursor)
    if kind in ("trigger", "policy"):
        while cursor.next.text and not cursor.take("on"):
            cursor.at += 1
        return Part(line, f"DROP {kind.upper()} {name} ON {_name(cursor)};")
    return Part(line, f"DROP {materialized}{kind.upper()} {name};")


def _table(cursor: Cursor) -> Iterator[Part]:
    cursor.take("if", "exists")
    cursor.take("only")
    table = _name(cursor)
    actions = list(parted(cursor.rest))
    for action in actions:
        line = action[0].line if action else 0
        yield _action(Cursor(action), table, line)


def _action(cursor: Cursor, table: str, line: int) -> Part:
    def back(text: str) -> Part:
        return Part(line, f"ALTER TABLE {table} {text};")

    if cursor.take("add", "constraint"):
        return back(f"DROP CONSTRAINT {_name(cursor)}")
    if cursor.take("add"):
        if cursor.next.key in ("check", "unique", "primary", "foreign", "exclude"):
            return Part(line, why="add constraint: PostgreSQL gave it a name that is not in the file")
        cursor.take("column")
        if cursor.take("if", "not", "exists"):
            return Part(line, why=f"add column: {MAYBE}")
        return back(f"DROP COLUMN {_name(cursor)}")
    if cursor.take("rename", "to"):
        schema, dot, old = table.rpartition(".")
        return Part(line, f"ALTER TABLE {schema}{dot}{_name(cursor)} RENAME TO {old};")
    if cursor.take("rename"):
        what = "CONSTRAINT" if cursor.take("constraint") else "COLUMN"
        cursor.take("column")
        old = _name(cursor)
        return back(f"RENAME {what} {_name(cursor)} TO {old}") if cursor.take("to") else Part(line, why=BEFORE)
    if cursor.take("alter"):
        cursor.take("column")
        column = _name(cursor)
        if cursor.take("set", "not", "null"):
            return back(f"ALTER COLUMN {column} DROP NOT NULL")
        if cursor.take("drop", "not", "null"):
            return back(f"ALTER COLUMN {column} SET NOT NULL")
        return Part(line, why=f"alter column {column}: {BEFORE}")
    if cursor.take("enable", "row", "level", "security"):
        return back("DISABLE ROW LEVEL SECURITY")
    if cursor.take("disable", "row", "level", "security"):
        return back("ENABLE ROW LEVEL SECURITY")
    if cursor.next.key == "drop":
        return Part(line, why=f"{' '.join(token.text for token in cursor.rest[:3])}: {GONE}")
    if cursor.take("validate"):
        return Part(line)
    return Part(line, why=f"{' '.join(token.text for token in cursor.rest[:3])}: {BEFORE}")


def _renamed(cursor: Cursor, line: int) -> Part:
    """ALTER INDEX, TYPE, VIEW, SEQUENCE: only a new name can be taken back."""
    materialized = "MATERIALIZED " if cursor.take("materialized") else ""
    kind = cursor.take_any("index", "view", "sequence", "type", "schema", "domain").upper()
    cursor.take("if", "exists")
    name = _name(cursor)
    if kind and cursor.take("rename", "to"):
        schema, dot, old = name.rpartition(".")
        return Part(line, f"ALTER {materialized}{kind} {schema}{dot}{_name(cursor)} RENAME TO {old};")
    if kind == "TYPE" and cursor.take("rename", "value"):
        words = [token.text.replace("'", "''") for token in cursor.rest]
        return Part(line, f"ALTER TYPE {name} RENAME VALUE '{words[2]}' TO '{words[0]}';")
    if kind == "TYPE" and cursor.take("add", "value"):
        return Part(line, why="a value of a type cannot be removed: leave it, nobody has to use it")
    return Part(line, why=f"alter {kind.lower() or 'this'}: {BEFORE}")


def _name(cursor: Cursor) -> str:
    """A name, each part in quotes, so that it means the same whatever it is."""
    parts = []
    while cursor.next.kind in (WORD, NAME):
        parts.append('"' + cursor.next.text.replace('"', '""') + '"')
        cursor.at += 1
        if not cursor.next.is_sign("."):
            break
        cursor.at += 1
    return ".".join(parts)
