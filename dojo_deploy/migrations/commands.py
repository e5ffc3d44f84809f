"""Which shell lines must not be run where real data are, however they are spelled."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

ALLOWED = ("deploy", "status", "resolve", "diff")  # of `prisma migrate`
# Of other tools: what drops, takes back, or loads a schema over what is there. `down` of a reverse file loses what the
# new columns hold; `db.reverse` writes one that is looked at first.
BACKWARDS = {
    "dbmate": ("drop", "down", "rollback", "load"),
    "node-pg-migrate": ("down", "redo"),
}
VALUES = {"dbmate": ("-u", "--url", "-e", "--env", "--env-file", "-d", "--migrations-dir", "-s", "--schema-file",
                     "--migrations-table", "--wait-timeout", "--wait-interval"),
          "node-pg-migrate": ("-m", "--migrations-dir", "-t", "--migrations-table", "-s", "--schema", "-d",
                              "--database-url-var", "-f", "--config-file", "--config-value", "--envPath")}  # fmt: skip
WITH_VALUE = ("--schema", "--config", "--url", "--name", "-n", "--from-migrations", "--shadow-database-url")
RUNNERS = ("npm", "pnpm", "yarn", "bun", "node")
SEPARATORS = "();<>|&\n"
FLAGS = "-[aAbeEHlnqsStVwWxXz01]*"  # of psql, without a value: what follows another letter is its value
STOPS = re.compile(r"ON_ERROR_STOP(?:=(\w*))?$")
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
        told = bool(words) and words[0] in TALKERS
        yield from filter(None, (_of_tool(words[number:]) for number in range(len(words)) if not told))
        yield from filter(
            None, (_of_prisma(words[number:]) for number in range(len(words)) if _is_prisma(words, number))
        )
        for script in _scripts(words):
            for name in (f"pre{script}", script, f"post{script}"):
                if name in scripts and name not in known:
                    for found in _forbidden(scripts[name], scripts, (*known, name)):
                        yield f"{found} (package.json: {name})"
        if words and not told:
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


def is_deaf(line: str) -> bool:
    """Whether it has psql run a file, or its input, without stopping at an error: then it ends 0 whatever happened."""
    try:
        commands = list(_commands(line))
    except ValueError:
        return False
    inner = (word for words in commands for word in words if re.search(r"\s", word))
    of_psql = (words for words in commands if "psql" in map(posixpath.basename, words))
    return any(map(is_deaf, inner)) or not all(_stops(words) or _is_one_command(words) for words in of_psql)


def _stops(words: list[str]) -> bool:
    """The last setting counts; one without a value takes it away."""
    said = [found[1] or "" for word in words if (found := STOPS.search(word))]
    return bool(said) and said[-1].lower() in ("1", "on", "true", "yes")


def _is_one_command(words: list[str]) -> bool:
    """Of a single `-c` the status is psql's own."""
    return sum(bool(re.match(rf"{FLAGS}c|--command\b", word)) for word in words) == 1 and not any(
        re.match(rf"{FLAGS}f|--file\b", word) for word in words
    )


def _is_prisma(words: list[str], number: int) -> bool:
    word = words[number]
    if word.startswith("$") and number + 1 < len(words):
        return words[number + 1] in ("migrate", "db")
    name = posixpath.basename(word).partition("@")[0]
    return name in ("prisma", "prisma.js", "prisma.cmd") or "/prisma/build/" in f"/{word}"


def _of_tool(words: list[str]) -> str:
    """`words` begin with anything."""
    name = posixpath.basename(words[0]).partition("@")[0].removesuffix(".js")
    if name == "dropdb":
        return name
    verb = _said(words, VALUES[name])[0] if name in BACKWARDS else ""
    return f"{name} {verb}" if verb in BACKWARDS.get(name, ()) or verb.startswith("$") else ""


def _said(words: list[str], with_value: tuple[str, ...]) -> tuple[str, str]:
    """The two words that follow a program, past its options and their values."""
    said: list[str] = []
    skip = False
    for word in words[1:]:
        if not skip and not word.startswith("-"):
            said.append(word)
        skip = not skip and word in with_value
    first, second = (*said, "", "")[:2]
    return first, second


def _of_prisma(words: list[str]) -> str:
    """`words` begin with prisma itself."""
    verb, what = _said(words, WITH_VALUE)
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
