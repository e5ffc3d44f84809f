"""Reading a statement from left to right."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.migrations.tokens import NAME, WORD, Statement, Token

END = Token("end", "", 0)


class Cursor:
    """A place in a statement. Everything that takes moves it on; past the end there are only empty tokens."""

    def __init__(self, statement: Statement) -> None:
        self.tokens = statement
        self.at = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else END

    @property
    def rest(self) -> Statement:
        return self.tokens[self.at :]

    def take(self, *keys: str) -> bool:
        """Moves past these keywords if they come next, all of them in this order."""
        if tuple(token.key for token in self.tokens[self.at : self.at + len(keys)]) != keys:
            return False
        self.at += len(keys)
        return True

    def take_any(self, *keys: str) -> str:
        """Moves past the keyword that comes next if it is one of these; empty otherwise."""
        found = self.next.key if self.next.key in keys else ""
        self.at += bool(found)
        return found

    def name(self) -> str:
        """Moves past a name, with its schema unless that is `public`; empty if none comes next."""
        parts = []
        while self.next.kind in (WORD, NAME):
            parts.append(self.next.text)
            self.at += 1
            if not self.next.is_sign("."):
                break
            self.at += 1
        return ".".join(parts[1:] if len(parts) > 1 and parts[0] == "public" else parts)

    def parentheses(self) -> Statement:
        """Moves past a pair of parentheses if it comes next, and gives what is between them."""
        if not self.next.is_sign("("):
            return ()
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            depth += self.next.is_sign("(") - self.next.is_sign(")")
            self.at += 1
            if not depth:
                return self.tokens[start + 1 : self.at - 1]
        return self.tokens[start + 1 :]


def outer(statement: Statement) -> Iterator[Token]:
    """The tokens that stand in no parentheses."""
    depth = 0
    for token in statement:
        depth += token.is_sign("(") or token.is_sign("[")
        if not depth:
            yield token
        depth -= token.is_sign(")") or token.is_sign("]")


def parted(statement: Statement) -> Iterator[Statement]:
    """What stands between the commas that are in no parentheses."""
    depth, start = 0, 0
    for number, token in enumerate(statement):
        depth += token.is_sign("(") or token.is_sign("[")
        depth -= token.is_sign(")") or token.is_sign("]")
        if token.is_sign(",") and not depth:
            yield statement[start:number]
            start = number + 1
    yield statement[start:]


def says(statement: Statement, *keys: str) -> bool:
    """Whether these keywords stand side by side somewhere outside of parentheses."""
    found = [token.key for token in outer(statement)]
    return any(tuple(found[place : place + len(keys)]) == keys for place in range(len(found)))
