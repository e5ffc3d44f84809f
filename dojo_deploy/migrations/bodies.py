"""The statements of a PL/pgSQL body, for blocks that run when the migration does."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.migrations.tokens import Statement, statements

# After these a statement begins, or a condition that says nothing.
OPENING = ("begin", "then", "else", "loop")
LOOPS, OVER = ("for", "foreach"), ("insert", "update", "delete", "merge", "with", "execute")
SKIPPED = frozenset({
    "declare", "if", "elsif", "elseif", "end", "exception", "when", "while", "for", "foreach", "case", "raise",
    "perform", "return", "null", "exit", "continue", "get", "open", "fetch", "close", "assert", "commit", "rollback",
})  # fmt: skip


def inside(body: str, line: int) -> Iterator[Statement]:
    """Statements of SQL in a body whose first line is `line`."""
    for found in statements(body, line=line):
        start = 0
        for number, token in enumerate(found):
            if token.key in OPENING and not _is_nested(found[start:number]):
                yield from _told(found[start:number])
                start = number + 1
        yield from _told(found[start:])


def _told(statement: Statement) -> Iterator[Statement]:
    # `x := 1` assigns a variable; a declaration names a type.
    is_variable = len(statement) > 1 and (statement[1].is_sign(":") or statement[1].is_sign("="))
    if statement and statement[0].key in LOOPS:
        # What a loop goes over is done: DELETE … RETURNING, or EXECUTE of a text.
        begins = next((number for number, token in enumerate(statement) if token.key == "in"), len(statement))
        over = statement[begins + 1 :]
        if over and over[0].key in OVER:
            yield over
    elif statement and statement[0].key not in SKIPPED and not is_variable:
        yield statement


def _is_nested(statement: Statement) -> bool:
    """An expression's own CASE … THEN … ELSE, or the inside of parentheses."""
    depth = sum(token.is_sign("(") - token.is_sign(")") for token in statement)
    cases = sum((token.key == "case") - (token.key == "end") for token in statement[1:])
    return depth > 0 or cases > 0
