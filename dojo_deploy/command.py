"""Shell text is made here and nowhere else: words are quoted once, secrets stay masked until they are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dojo_deploy.errors import ConfigError
from dojo_deploy.secrets import Secret

Word = str | Secret
Speller = Callable[[Word], str]
WIDE = 100  # of a row of variables, for people


@dataclass(frozen=True)
class Command:
    """One line for a POSIX shell, with its directory and its environment.

    Either `words`, each of which arrives literally, or `line`: shell text that a person wrote in a configuration file
    and that is passed on as it is; values reach it through `env` only. `str(command)` is what people and logs may see:
    the same commands, one a line, secrets masked, and a variable of many lines spelled out behind a bar.
    """

    words: tuple[Word, ...] = ()
    line: str = ""
    cwd: str = ""
    env: tuple[tuple[str, Word], ...] = ()

    @classmethod
    def of(cls, *words: Word, cwd: str = "", env: Mapping[str, Word] | None = None) -> Command:
        """A command whose words arrive literally, whatever they contain."""
        return cls(words=words, cwd=cwd, env=tuple((env or {}).items()))

    @classmethod
    def shell(cls, line: str, *, cwd: str = "", env: Mapping[str, Word] | None = None) -> Command:
        """The operator's own shell line; `env` is how it learns of the run (`$RELEASE_DIR`, `$PORT`, …)."""
        return cls(line=line, cwd=cwd, env=tuple((env or {}).items()))

    def render(self) -> str:
        """The text to send, secrets included. For transports only. Raises ConfigError for a NUL or a lone surrogate."""
        return self._text(lambda word: quote(word.reveal() if isinstance(word, Secret) else word))

    @property
    def text(self) -> str:
        """What it runs, in one line where it was written as one, without its directory and its variables."""
        return self.line or " ".join(map(_shown, self.words))

    def __str__(self) -> str:
        lines = [f"cd {_shown(self.cwd)}"] if self.cwd else []
        short = [f"{_name(name)}={_shown(value)}" for name, value in self.env if not _is_long(value)]
        lines += [f"export {row}" for row in _rows(short)]
        for name, value in self.env:
            if _is_long(value):
                lines += [f"export {_name(name)}=", *(f"│ {row}" for row in str(value).rstrip("\n").split("\n"))]
        return "\n".join([*lines, self.text.strip("\n")])

    def _text(self, spell: Speller) -> str:
        parts = [f"cd {spell(self.cwd)}"] if self.cwd else []
        parts += [f"export {_name(name)}={spell(value)}" for name, value in self.env]
        parts.append(self.line or " ".join(spell(word) for word in self.words))
        return " && ".join(parts)


def quote(value: str) -> str:
    """`value` as one word of a POSIX shell; the same bytes come out under sh, bash and dash.

    Raises:
        ConfigError: the value has a NUL or a lone surrogate, which no shell can carry.
    """
    if "\0" in value:
        raise ConfigError(f"a NUL byte cannot be part of a command: {value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ConfigError(f"not valid Unicode, cannot be part of a command: {value!r}") from exc
    if value and all(char.isascii() and (char.isalnum() or char in "@%_+=:,./-") for char in value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


def _name(name: str) -> str:
    if not (name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()):
        raise ConfigError(f"{name!r} is not a name for an environment variable")
    return name


def _shown(word: Word) -> str:
    return str(word) if isinstance(word, Secret) else quote(word)


def _is_long(value: Word) -> bool:
    return not isinstance(value, Secret) and "\n" in value


def _rows(parts: list[str]) -> list[str]:
    rows: list[str] = []
    for part in parts:
        if rows and len(rows[-1]) + len(part) < WIDE:
            rows[-1] += f" {part}"
        else:
            rows.append(part)
    return rows
