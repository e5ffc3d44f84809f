"""What each action of an ALTER TABLE means for the release that still runs on the table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from dojo_deploy.migrations.cursor import Cursor, outer, parted, says
from dojo_deploy.migrations.findings import Flaw, Schema
from dojo_deploy.migrations.tokens import STRING, Statement

# Functions whose value is fixed for a statement: PostgreSQL stores the one value and rewrites nothing.
STABLE = frozenset({
    "now", "current_timestamp", "current_date", "current_time", "localtimestamp", "localtime",
    "transaction_timestamp", "statement_timestamp", "lower", "upper", "md5", "coalesce", "nullif", "to_jsonb",
    "to_json", "jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array", "make_interval",
    "make_date", "to_timestamp", "to_date", "date_trunc", "current_setting", "row", "array", "greatest", "least",
    "abs", "round", "floor", "ceil", "length", "concat",
})  # fmt: skip
SERIAL = ("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8")
HARMLESS = (
    ("validate", "constraint"), ("set", "default"), ("set", "statistics"), ("set", "storage"), ("set", "("),
    ("reset",), ("owner", "to"), ("enable", "trigger"), ("replica",), ("rename", "constraint"), ("drop", "not", "null"),
    ("set", "compression"), ("set", "without"), ("drop", "identity"), ("drop", "expression"), ("no", "inherit"),
)  # fmt: skip
REWRITE = "it rewrites the whole table under an ACCESS EXCLUSIVE lock: reads and writes wait"
SCAN = "it reads the whole table while writes wait"


def alter_table(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    """The cursor stands behind ALTER [FOREIGN] TABLE."""
    cursor.take("if", "exists")
    cursor.take("only")
    table = cursor.name()
    if cursor.next.is_sign("*"):
        cursor.at += 1
    for action in parted(cursor.rest):
        flaws = tuple(_action(Cursor(action), table, schema))
        if table not in schema.tables:
            line = action[0].line if action else 0
            yield from (Flaw(flaw.kind, flaw.reason, flaw.instead, line) for flaw in flaws)


def _action(cursor: Cursor, table: str, schema: Schema) -> Iterator[Flaw]:
    if cursor.take("add"):
        if cursor.next.key in ("constraint", "check", "unique", "primary", "foreign", "exclude"):
            yield from _add_constraint(cursor, table, schema)
        else:
            cursor.take("column")
            yield from _add_column(cursor, table, schema)
    elif cursor.take("drop", "constraint"):
        cursor.take("if", "exists")
        name = cursor.name()
        if not name.endswith(("_fkey", "_fk", "_check")) and (table, name) not in schema.checks:
            yield Flaw(
                "contract",
                f"constraint {name}: the old release's ON CONFLICT fails without it, if it is a unique or primary key",
                "drop it once no release that relies on it can come back",
            )
    elif cursor.take("drop"):
        cursor.take("column")
        cursor.take("if", "exists")
        column = cursor.name()
        if (table, column) not in schema.columns:
            yield Flaw(
                "data loss",
                f"column {table}.{column}: its values are gone, and the old release still names it in its queries",
                "stop using it in one release, drop it in a later one",
            )
    elif cursor.take("alter"):
        cursor.take("column")
        yield from _alter_column(cursor, cursor.name(), table, schema)
    elif cursor.take("validate", "constraint"):
        proved = schema.checks.get((table, cursor.name()))
        schema.proved |= {(table, proved)} if proved else set()
    else:
        yield from _whole(cursor, table, schema)


def _add_column(cursor: Cursor, table: str, schema: Schema) -> Iterator[Flaw]:
    may_exist = cursor.take("if", "not", "exists")
    column = cursor.name()
    kind = cursor.next.key
    rest = cursor.rest
    default = _after_default(rest)
    is_made = kind in SERIAL or says(rest, "identity") or says(rest, "generated")
    if not may_exist:
        schema.columns.add((table, column))
    named = f"{table}.{column}"
    if says(rest, "not", "null") and not default and not is_made:
        yield Flaw(
            "contract",
            f"{named} is NOT NULL without a DEFAULT: every INSERT of the old release fails, and so does this with rows",
            "add it with a DEFAULT, or nullable now and NOT NULL in a later release",
        )
    volatile = _volatile(default)
    if is_made or volatile:
        what = f"its default {volatile}() differs from row to row" if volatile else f"{kind or 'it'} is filled in"
        yield Flaw(
            "blocking",
            f"{named}: {what}, so {REWRITE}",
            "add it without, SET DEFAULT for new rows, fill the old ones in batches",
        )
    if says(rest, "unique") or says(rest, "primary", "key"):
        yield Flaw(
            "blocking",
            f"{named}: its index is built under an ACCESS EXCLUSIVE lock",
            "CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT … UNIQUE USING INDEX",
        )
    if says(rest, "check") or (says(rest, "references") and default):
        yield Flaw("blocking", f"{named}: {SCAN}", "add the constraint NOT VALID, then VALIDATE it in a later file")


def _add_constraint(cursor: Cursor, table: str, schema: Schema) -> Iterator[Flaw]:
    name = cursor.name() if cursor.take("constraint") else ""
    named = f"{table}: {name or 'the constraint'}"
    rest = cursor.rest
    is_checked = not says(rest, "not", "valid")
    if cursor.take("foreign", "key"):
        if is_checked:
            yield Flaw(
                "blocking",
                f"{named}: {SCAN}, to both tables",
                "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a later file",
            )
    elif cursor.take("check"):
        keys = [token for token in cursor.parentheses() if token.key or token.kind == "name"]
        if [token.key for token in keys[1:]] == ["is", "not", "null"] and name:
            schema.checks[table, name] = keys[0].text
            schema.proved |= {(table, keys[0].text)} if is_checked else set()
        if is_checked:
            yield Flaw(
                "blocking",
                f"{named}: {SCAN}, and it binds the old release too",
                "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a later file",
            )
    elif not says(rest, "using", "index"):
        yield Flaw(
            "blocking",
            f"{named}: its index is built under an ACCESS EXCLUSIVE lock, and it binds the old release too",
            "CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT … USING INDEX",
        )


def _alter_column(cursor: Cursor, column: str, table: str, schema: Schema) -> Iterator[Flaw]:
    named = f"{table}.{column}"
    if (table, column) in schema.columns or any(_begins(cursor, *words) for words in HARMLESS):
        return
    if cursor.take("set", "not", "null"):
        if (table, column) not in schema.proved:
            yield Flaw(
                "contract",
                f"{named}: what the old release writes as NULL fails, and {SCAN}",
                "ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL",
            )
    elif cursor.take("set", "data", "type") or cursor.take("type"):
        yield Flaw(
            "contract",
            f"{named}: the old release reads and writes the old type, and for most types {REWRITE}",
            "add a column of the new type, write both, fill it in batches, drop the old one in a later release",
        )
    elif cursor.take("drop", "default"):
        yield Flaw(
            "contract",
            f"{named}: an INSERT of the old release that leaves it out gets NULL, or fails",
            "drop it once no release that relies on it can come back",
        )
    elif cursor.take("add"):
        yield Flaw(
            "contract", f"{named}: GENERATED ALWAYS refuses the values that the old release writes", "BY DEFAULT"
        )
    else:
        yield Flaw("contract", f"{named}: not known to leave the old release alone: {_shown(cursor.rest)}")


def _whole(cursor: Cursor, table: str, schema: Schema) -> Iterator[Flaw]:
    if any(_begins(cursor, *words) for words in HARMLESS):
        return
    if cursor.take("rename", "to") or cursor.take("set", "schema"):
        yield Flaw(
            "contract",
            f"{table} has another name: every query of the old release fails",
            "keep it, or leave a view under the old name until no old release can come back",
        )
    elif cursor.take("rename"):
        cursor.take("column")
        column = cursor.name()
        if (table, column) not in schema.columns:
            yield Flaw(
                "contract",
                f"{table}.{column} has another name: every query of the old release that names it fails",
                "add a column, write both, fill it in batches, drop the old one in a later release",
            )
    elif cursor.take("attach") or _begins(cursor, "set", "tablespace") or _begins(cursor, "set", "logged"):
        yield Flaw("blocking", f"{table}: {REWRITE}, or reads it as long", "in a maintenance window")
    elif cursor.take("detach"):
        yield Flaw("contract", f"{table}: the old release does not see the rows of the partition any more")
    elif cursor.take_any("enable", "force") and cursor.take("row", "level", "security"):
        yield Flaw("contract", f"{table}: without a policy for it the old release sees no row", "create policies first")
    else:
        yield Flaw("contract", f"{table}: not known to leave the old release alone: {_shown(cursor.tokens)}")


def _begins(cursor: Cursor, *words: str) -> bool:
    return tuple(token.text for token in cursor.rest[: len(words)] if token.kind != STRING) == words


def _after_default(rest: Statement) -> Statement:
    keys = [token.key for token in rest]
    found = rest[keys.index("default") + 1 :] if "default" in keys else ()
    return () if found and found[0].key == "null" else found


def _volatile(default: Statement) -> str:
    """The function in a default that PostgreSQL has to call for each row, or that nobody here knows."""
    until = next((n for n, token in enumerate(default) if token.key in ("references", "check", "constraint")), None)
    words = default[:until]
    calls = [a.text for a, b in pairwise(words) if b.is_sign("(") and a.kind in ("word", "name")]
    types = {b.text for a, b in pairwise(words) if a.is_sign("::")}
    return next((name for name in calls if name not in STABLE and name not in types), "")


def _shown(rest: Statement) -> str:
    return " ".join(token.text for token in tuple(outer(rest))[:6])
