"""What a statement means for the release that still runs, and for those who wait for its lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dojo_deploy.migrations.cursor import Cursor, says
from dojo_deploy.migrations.findings import Flaw, Schema
from dojo_deploy.migrations.rows import deleting, truncating, updating
from dojo_deploy.migrations.tables import alter_table
from dojo_deploy.migrations.tokens import BROKEN, META, NAME, Statement

HARMLESS = frozenset({
    "insert", "select", "values", "table", "comment", "grant", "set", "reset", "show", "begin", "start", "commit",
    "end", "rollback", "savepoint", "release", "analyze", "listen", "notify", "unlisten", "prepare",
    "deallocate", "discard", "checkpoint", "copy", "declare", "fetch", "close", "abort",
})  # fmt: skip
LATER = "drop it once no release that uses it can come back"


def judge(statement: Statement, schema: Schema) -> Iterator[Flaw]:
    """What is wrong with one statement, after all those that `schema` has seen; nothing for one that only expands."""
    broken = next((token for token in statement if token.kind in (BROKEN, META)), None)
    if broken:
        what = "a command of psql's own" if broken.kind == META else broken.text
        yield Flaw("unreadable", f"{what}: what it does cannot be told", "plain SQL", broken.line)
        return
    cursor = Cursor(_beside_temporary(statement, schema))
    verb = cursor.next.key
    cursor.at = 1
    if verb == "with":
        yield from _hidden(statement, schema)
    elif verb in VERBS:
        yield from VERBS[verb](cursor, schema)
    elif verb not in HARMLESS:
        yield Flaw("contract", f"{verb or cursor.tokens[0].text}: not known to leave the old release alone")


def _beside_temporary(statement: Statement, schema: Schema) -> Statement:
    """`public.cards`, where `cards` is a temporary table of this file, is another one: its name stays whole."""
    found = list(statement)
    for number in range(len(found) - 3, -1, -1):
        first, *more = found[number : number + 3]
        if first.text == "public" and len(more) == 2 and more[0].is_sign(".") and more[1].text in schema.temporary:
            found[number : number + 3] = [replace(more[1], kind=NAME, text=f"public.{more[1].text}")]
    return tuple(found)


def _create(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    cursor.take("or", "replace")
    cursor.take_any("global", "local", "unlogged")
    is_temporary = bool(cursor.take_any("temp", "temporary"))
    cursor.take_any("recursive", "trusted", "procedural")
    is_unique = cursor.take("unique")
    if cursor.take("index"):
        yield from _create_index(cursor, schema, unique=is_unique)
        return
    is_view = cursor.take("materialized")
    kind = cursor.next.key
    cursor.at += 1
    if kind == "rule":
        yield Flaw("contract", "a rule changes what the old release's statements do", "a trigger, in a later release")
        return
    may_exist = cursor.take("if", "not", "exists")
    name = cursor.name()
    if kind == "table" and (is_temporary or not may_exist):
        schema.tables.add(name)
        schema.temporary |= {name} if is_temporary else set()
    elif not may_exist and (is_view or kind not in ("function", "procedure", "extension")):
        schema.others.add(name)


def _create_index(cursor: Cursor, schema: Schema, *, unique: bool) -> Iterator[Flaw]:
    concurrently = cursor.take("concurrently")
    may_exist = cursor.take("if", "not", "exists")
    name = "" if cursor.next.key == "on" else cursor.name()
    cursor.take("on")
    cursor.take("only")
    table = cursor.name()
    if name and not may_exist:
        schema.others.add(name)
    if table in schema.tables:
        return
    if not concurrently:
        binds = ", and it binds the old release too" if unique else ""
        yield Flaw(
            "blocking",
            f"writes to {table} wait until the index {name} is built{binds}",
            "CREATE INDEX CONCURRENTLY, alone in a file of its own",
        )
    elif may_exist:
        yield Flaw(
            "blocking",
            f"IF NOT EXISTS takes an index {name} for good that an earlier attempt left invalid",
            "DROP INDEX CONCURRENTLY IF EXISTS in a file before it, and no IF NOT EXISTS",
        )


def _drop(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    is_view = cursor.take("materialized")
    kind = cursor.next.key
    cursor.at += 1
    concurrently = cursor.take("concurrently")
    cursor.take("if", "exists")
    name = cursor.name()
    names = [name]
    while cursor.next.is_sign(","):
        cursor.at += 1
        names.append(cursor.name())
    if all(name in schema.tables | schema.others for name in names):
        for made in (schema.tables, schema.others, schema.temporary):
            made.difference_update(names)  # from here on the name is of what was there before
        return
    named = f"{kind} {', '.join(names)}".strip()
    if kind in ("table", "schema", "database", "foreign") and not is_view:
        yield Flaw("data loss", f"{named}: all that is in it is gone, and the old release still uses it", LATER)
    elif kind == "index" and any(name.endswith(("_key", "_pkey", "_uniq", "_unique")) for name in names):
        yield Flaw("contract", f"{named}: the old release's ON CONFLICT fails without it", LATER)
    elif kind == "index":
        if not concurrently:
            yield Flaw(
                "blocking", f"{named}: waits with an ACCESS EXCLUSIVE lock", "DROP INDEX CONCURRENTLY, in its own file"
            )
    else:
        yield Flaw("contract", f"{named}: the old release may still use it", LATER)


def _alter(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    cursor.take_any("foreign", "materialized")
    kind = cursor.next.key
    cursor.at += 1
    if kind == "table":
        yield from alter_table(cursor, schema)
        return
    cursor.take("if", "exists")
    name = cursor.name()
    if name in schema.others:
        if cursor.take("rename", "to"):
            schema.others.add(cursor.name())
        return
    if kind == "domain" and cursor.take("add"):
        if not says(cursor.rest, "not", "valid"):
            yield Flaw("blocking", f"domain {name}: every table that uses it is read", "NOT VALID, then VALIDATE")
        return
    first, second = cursor.next.key, cursor.tokens[cursor.at + 1].key if len(cursor.rest) > 1 else ""
    if kind == "default" or (kind == "index" and first != "set") or (kind == "sequence" and first != "rename"):
        return
    if first in ("owner", "add", "set", "reset", "depends") and second != "schema":
        return
    yield Flaw("contract", f"{kind} {name}: the old release may still use what {first or 'this'} changes", LATER)


def _with_rows(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    verb = cursor.tokens[0].key
    judges = {"update": updating, "delete": deleting, "truncate": truncating}
    yield from judges[verb](cursor, schema)


def _hidden(statement: Statement, schema: Schema) -> Iterator[Flaw]:
    """WITH … (DELETE …), and what follows it."""
    for number, token in enumerate(statement):
        before = statement[number - 1] if number else token
        if token.key in ("update", "delete", "merge") and (before.is_sign("(") or before.is_sign(")")):
            inner = Cursor(statement[number - 1 :])
            yield from judge(inner.parentheses() if before.is_sign("(") else statement[number:], schema)


def _do(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    from dojo_deploy.migrations.bodies import inside

    for token in cursor.rest:
        if token.kind in ("body", "string"):
            for statement in inside(token.text, token.line):
                line = statement[0].line
                yield from (Flaw(f.kind, f.reason, f.instead, f.line or line) for f in judge(statement, schema))


def _execute(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    from dojo_deploy.migrations.bodies import inside

    token = cursor.next
    if token.kind in ("string", "body") and len(cursor.rest) == 1:
        for statement in inside(token.text, token.line):
            yield from judge(statement, schema)
    else:
        yield Flaw("unreadable", "EXECUTE of a text that is made when it runs", "the statements themselves")


def _explain(cursor: Cursor, schema: Schema) -> Iterator[Flaw]:
    """With ANALYZE what is explained is done."""
    runs = False
    for number, token in enumerate(cursor.rest):
        runs = runs or token.key in ("analyze", "analyse")
        if runs and token.key in (*VERBS, "with", "merge"):
            yield from judge(cursor.rest[number:], schema)
            return


def _slow(cursor: Cursor, _: Schema) -> Iterator[Flaw]:
    verb, told = cursor.tokens[0].key, " ".join(token.text for token in cursor.tokens[:3])
    if verb == "vacuum" and not any(token.key == "full" for token in cursor.rest[:4]):
        return
    if verb in ("reindex", "refresh") and any(token.key == "concurrently" for token in cursor.rest):
        return
    hint = "CONCURRENTLY" if verb in ("reindex", "refresh") else "in a maintenance window"
    yield Flaw("blocking", f"{told}: others wait until it has ended", hint)


def _revoke(_: Cursor, __: Schema) -> Iterator[Flaw]:
    yield Flaw("contract", "the old release may need the privilege that is taken away", LATER)


VERBS = {
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    **dict.fromkeys(("update", "delete", "truncate"), _with_rows),
    "do": _do,
    "execute": _execute,
    "explain": _explain,
    **dict.fromkeys(("vacuum", "cluster", "reindex", "refresh", "lock"), _slow),
    "revoke": _revoke,
}
