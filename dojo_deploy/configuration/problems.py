"""Several errors of one file at once, one line each, with what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError

SHOWN = 5

Path = tuple[str, ...]


class Problems(ConfigError):
    """More than one ConfigError; `where` and `key` are those of the first."""

    def __init__(self, each: Sequence[ConfigError]) -> None:
        lines = [line(error) for error in each[:SHOWN]]
        if len(each) > SHOWN:
            lines.append(f"{each[0].where.partition(':')[0] or 'configuration'}: … and {len(each) - SHOWN} more")
        super().__init__("\n".join(lines))
        self.each = tuple(each)
        self.where, self.key = each[0].where, each[0].key


class Gathering:
    """Collects the errors of the parts of something, so that all of them can be told together."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    @contextmanager
    def part(self) -> Iterator[None]:
        """An error inside is kept for later."""
        try:
            yield
        except Problems as error:
            self.found += error.each
        except ConfigError as error:
            self.found.append(error)

    def end(self) -> None:
        """Raises what was found, if anything."""
        unique = list({line(error): error for error in self.found}.values())
        if len(unique) == 1:
            raise unique[0]
        if unique:
            raise Problems(unique)


def problem(node: Node, path: Path, message: str) -> ConfigError:
    return ConfigError(message, where=node.where, key=dotted(path))


def located(error: ConfigError, node: Node, path: Path) -> ConfigError:
    """The same error, saying where; one that already does is left alone."""
    if isinstance(error, Problems):
        return Problems([located(each, node, path) for each in error.each])
    if error.where:
        return error
    message = error.message.removeprefix(f"{error.key}: ") if error.key else error.message
    inner = (*path, error.key) if error.key else path
    return problem(node, inner, tidy(f"{message}; {error.hint}" if error.hint else message, most=400))


def line(error: ConfigError) -> str:
    return tidy(f"{error.message}; {error.hint}" if error.hint else error.message, most=1000)


def dotted(path: Path) -> str:
    """`hosts.web[2].port`; a key that would spoil the line is quoted and cut."""
    text = ""
    for part in path:
        shown = part if part.isascii() and part.isprintable() and 0 < len(part) <= 60 else quoted(part)
        text += shown if shown.startswith("[") or not text else f".{shown}"
    return text


def quoted(text: str, *, most: int = 60) -> str:
    """`text` on one line, in double quotes, cut to `most` characters."""
    return f'"{tidy(text, most=most)}"'


def tidy(text: str, *, most: int) -> str:
    """On one line, without anything that a terminal would obey, cut to `most` characters."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean processes?`, or the list of what there is."""
    names = list(known)
    lower = word.lower()[:100]
    near = difflib.get_close_matches(lower, names, n=3, cutoff=0.6)
    if near:
        # Two letters that changed places are the likeliest slip of all.
        return f"did you mean {next((name for name in near if sorted(name) == sorted(lower)), near[0])}?"
    return f"there is: {', '.join(names)}" if names else "there is none"
