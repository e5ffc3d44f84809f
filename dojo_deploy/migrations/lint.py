"""A migration, or all that are pending in their order -> what a person should know before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dojo_deploy.migrations.findings import Flaw, Schema
from dojo_deploy.migrations.statements import judge
from dojo_deploy.migrations.tokens import Statement, statements
from dojo_deploy.release import Finding


def lint(sql: str) -> tuple[Finding, ...]:
    """What is wrong with one file, in the order of its lines. Never raises, whatever the text is."""
    return tuple(_found(sql, Schema()))


def lint_all(files: Iterable[str]) -> tuple[tuple[Finding, ...], ...]:
    """The same for files that run one after the other, some of which may have run long ago.

    So what a file has made is new within it only; but a check that one has validated holds for all that follow.
    """
    schema = Schema()
    return tuple(tuple(_found(sql, Schema(checks=schema.checks, proved=schema.proved))) for sql in files)


def _found(sql: str, schema: Schema) -> Iterator[Finding]:
    parts = statements(sql)
    for statement in parts:
        for flaw in (*judge(statement, schema), *_in_company(statement, parts)):
            yield Finding(flaw.line or statement[0].line, flaw.kind, flaw.reason, flaw.instead)


def _in_company(statement: Statement, parts: tuple[Statement, ...]) -> Iterator[Flaw]:
    keys = [token.key for token in statement[:4]]
    is_apart = ("concurrently" in keys and keys[0] in ("create", "drop", "reindex")) or keys[0] == "vacuum"
    if is_apart and len(parts) > 1:
        yield Flaw(
            "fails",
            f"{' '.join(filter(None, keys))}: cannot run in a transaction, which several statements in a file are",
            "a file of its own",
        )
