"""Which shell lines must not be run where real data are, however they are spelled."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

ALLOWED = ("deploy", "status", "resolve", "diff")  # of `prisma migrate`
WITH_VALUE = ("--schema", "--config", "--url", "--name", "-n", "--from-migrations", "--shadow-database-url")
RUNNERS = ("npm", "pnpm", "yarn", "bun", "node")
SEPARATORS = "();<>|&\n"
TALKERS = ("echo", "printf", "logger", ":")
SIGNS = re.compile(r"\bprisma\b.{0,200}?\b(migrate\s+(?:dev|reset)|db\s+(?:push|drop))\b", re.DOTALL)


def forbidden(line: str, scripts: Mapping[str, str] | None = None) -> str:
    """The command in a shell line that must not run, as a person would say it; empty when there is none.

    `scripts`: those of the release's package.json, which `npm run` leads to.
    """
    return next(_forbidden(line, scripts or {}, ()), "")


def _forbidden(line: str, scripts: Mapping[str, str], known: tuple[str, ...]) -> Iterator[str]:
    try:
        commands = list(_commands(line))
    except ValueError:  # an open quote: the shell will say so, but a name that is there counts all the same
        yield from (found[1] for found in SIGNS.finditer(line))
        return
    for words in commands:
        yield from filter(
            None, (_of_prisma(words[number:]) for number in range(len(words)) if _is_prisma(words, number))
        )
        for script in _scripts(words):
            for name in (f"pre{script}", script, f"post{script}"):
                if name in scripts and name not in known:
                    for found in _forbidden(scripts[name], scripts, (*known, name)):
                        yield f"{found} (package.json: {name})"
        if words and words[0] not in TALKERS:
            # What `sh -c`, `eval` or `ssh` is given is a line again.
            for word in words:
                if re.search(r"\s", word):
                    yield from _forbidden(word, scripts, known)


def _commands(line: str) -> Iterator[list[str]]:
    """The words of each simple command. Raises ValueError for a quote that is left open."""
    lexer = shlex.shlex(line.replace("\\\n", ""), posix=True, punctuation_chars=SEPARATORS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    is_comment = False
    for word in lexer:
        if set(word) <= set(SEPARATORS):
            is_comment = is_comment and "\n" not in word
            yield words
            words = []
        elif not is_comment:
            is_comment = word.startswith("#")
            words += [] if is_comment else [word.strip("`{}!")]
    yield words


def _is_prisma(words: list[str], number: int) -> bool:
    word = words[number]
    if word.startswith("$") and number + 1 < len(words):
        return words[number + 1] in ("migrate", "db")
    name = posixpath.basename(word).partition("@")[0]
    return name in ("prisma", "prisma.js", "prisma.cmd") or "/prisma/build/" in f"/{word}"


def _of_prisma(words: list[str]) -> str:
    """`words` begin with prisma itself."""
    said: list[str] = []
    skip = False
    for word in words[1:]:
        if not skip and not word.startswith("-"):
            said.append(word)
        skip = not skip and word in WITH_VALUE
    verb, what = (*said, "", "")[:2]
    if verb == "migrate" and what not in ALLOWED:
        return f"prisma migrate {what}".strip()
    if verb == "db" and (what in ("push", "drop", "") or what.startswith("$")):
        return f"prisma db {what}".strip()
    return f"prisma {verb}" if verb.startswith("$") else ""


def _scripts(words: list[str]) -> Iterator[str]:
    """Names of package.json that a command may run."""
    for number, word in enumerate(words):
        if posixpath.basename(word) in RUNNERS:
            yield from (
                name for name in words[number + 1 :] if not name.startswith("-") and name not in ("run", "exec")
            )
            return
