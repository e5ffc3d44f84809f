"""What people type as SQL on a command line: one statement, a name, columns, a condition; strictly, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dojo_deploy.errors import ConfigError
from dojo_deploy.migrations.tokens import BROKEN, LEXEMES, META, NAME, WORD, statements, tokens

EXPLAINED = ("select", "with", "values", "table", "insert", "update", "delete", "merge")
WRITES = ("insert", "update", "delete", "merge")
# Neither bodies nor comments: what stands in one must not hide the end of the fragment.
PLAIN = ("space", "string", "name", "word", "number", "sign")
ORDER = re.compile(r"(?i)((?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?)\s*$")
CLASSED = re.compile(r"(?s)(.*?\S)(\s+[A-Za-z_][\w]*_ops)?$")
LEAST_MASK = re.compile(r"\s+")


def writes(query: str) -> bool:
    """Whether the one statement in `query` may change rows. Raises ConfigError for anything that is not explained."""
    found = statements(query)
    if len(found) != 1:
        raise ConfigError(f"wants one statement, got {len(found)}", key="query")
    (statement,) = found
    bad = next((token for token in statement if token.kind in (BROKEN, META)), None)
    if bad:
        raise ConfigError(f"line {bad.line}: {bad.text}", key="query")
    first = statement[1].key if statement[0].is_sign("(") and len(statement) > 1 else statement[0].key
    if first == "explain":
        raise ConfigError("leave EXPLAIN away, it is added", key="query", hint="--analyze runs the statement")
    if first not in EXPLAINED:
        raise ConfigError(
            f"{statement[0].text.upper()} cannot be explained", key="query", hint=f"one of: {', '.join(EXPLAINED)}"
        )
    # A query may write in a WITH, and takes row locks in FOR UPDATE.
    return any(token.key in WRITES for token in statement)


def name(text: str, key: str = "table") -> tuple[str, str]:
    """Schema, or empty, and name, as PostgreSQL understands them: `Cards` is cards, `"Cards"` is Cards."""
    found = tuple(tokens(text))
    kinds = tuple(token.kind in (WORD, NAME) and bool(token.text) for token in found)
    if kinds == (True,):
        return "", found[0].text
    if kinds == (True, False, True) and found[1].is_sign("."):
        return found[0].text, found[2].text
    raise ConfigError(f"{text!r} is no name", key=key, hint='cards, public.cards or public."Cards"')


def columns(text: str) -> tuple[tuple[str, str, str], ...]:
    """Name, or expression, and order of each: `price desc, lower(name) text_pattern_ops`."""
    return tuple(_column(part) for part in _parts(text, "columns"))


def names(text: str, key: str) -> tuple[str, ...]:
    """Names without a schema, between commas."""
    found = tuple(name(part, key) for part in _parts(text, key)) if text.strip() else ()
    if any(schema for schema, _ in found):
        raise ConfigError("a column has no schema", key=key)
    return tuple(bare for _, bare in found)


def condition(text: str) -> str:
    """One expression."""
    if text.strip() and len(tuple(_parts(text, "where"))) != 1:
        raise ConfigError("wants one condition", key="where")
    return text.strip()


def masked(query: str, width: int = 160) -> str:
    """A statement in one line, without what users typed into it."""
    said, position = "", 0
    while position < len(query) and len(said) <= width:
        match = _lexemes().match(query, position)
        assert match, "the last branch takes any character"
        kind, text = str(match.lastgroup), match.group()
        if kind in ("broken", "open", "block"):  # cut off by the server, or too clever to look through
            return f"{said.strip()} ?…"
        # $1 is the server's own mask.
        hidden = kind == "string" or (kind == "number" and not text.startswith("$"))
        said += "?" if hidden else " " if kind in ("space", "comment") else text
        position = match.end()
    said = LEAST_MASK.sub(" ", said).strip()
    return said if len(said) <= width else said[: width - 1] + "…"


def _column(text: str) -> tuple[str, str, str]:
    order = ORDER.search(text)
    assert order, "it may be empty"
    rest = CLASSED.fullmatch(text[: order.start()].strip())
    if not rest:
        raise ConfigError("a column is missing", key="columns", hint="--columns 'price, created_at desc'")
    what, more = rest[1], f"{rest[2] or ''} {order[1].strip()}".rstrip()
    found = tuple(tokens(what))
    if len(found) == 1:
        return name(what, "columns")[1], "", more
    calls = len(found) > 2 and found[0].kind in (WORD, NAME, "sign") and found[-1].is_sign(")")
    if not calls or not (found[0].is_sign("(") or found[1].is_sign("(") or found[1].is_sign(".")):
        raise ConfigError(
            f"{what!r} is neither a column nor a call", key="columns", hint="an expression stands in parentheses"
        )
    return "", what, more


def _parts(text: str, key: str) -> Iterator[str]:
    """What stands between commas that are in no parentheses."""
    depth = start = position = 0
    while position < len(text):
        match = _lexemes().match(text, position)
        assert match, "the last branch takes any character"
        sign = match.group() if match.lastgroup == "sign" else ""
        depth += (sign in "([") - (sign in ")]") if sign else 0
        if match.lastgroup not in PLAIN or sign == ";" or depth < 0:
            raise ConfigError(f"{match.group()!r} cannot stand here", key=key)
        if sign == "," and not depth:
            yield text[start:position].strip()
            start = match.end()
        position = match.end()
    if depth:
        raise ConfigError("a parenthesis is not closed", key=key)
    yield text[start:].strip()


def _lexemes() -> re.Pattern[str]:
    return re.compile(LEXEMES, re.VERBOSE | re.DOTALL)  # re keeps it
