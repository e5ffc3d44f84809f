"""Secrets by reference: a `Secret` knows where its value is; only `.reveal()` ever shows it."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import urllib.parse
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from dojo_deploy.errors import ConfigError

MASK = "***"
CMD_SECONDS = 30.0


class Secret:
    """A value that is looked up when needed: `env:NAME`, `file:PATH`, `cmd:COMMAND` or `aws:SECRET-ID`.

    Its repr, str, format and JSON are masked and it refuses to be pickled with its value, so that it can travel in
    commands, plans and events. Equality is that of the reference, never of the value. A relative file lies in `folder`,
    which is no part of the reference: it differs from machine to machine. Empty: the current folder.
    """

    __slots__ = ("_value", "folder", "name", "source")
    SOURCES = ("env", "file", "cmd", "aws")

    def __init__(self, source: str, name: str, *, folder: str = "") -> None:
        if source not in self.SOURCES:
            raise ConfigError(f"unknown secret source {source!r}", hint=f"one of: {', '.join(self.SOURCES)}")
        self.source = source
        self.name = name
        self.folder = folder
        self._value: str | None = None

    def reveal(self) -> str:
        """The value itself; for transports, stores and the redactor only. Raises ConfigError when it is missing."""
        if self._value is None:
            name = beside_folder(self.folder, self.name) if self.source == "file" else self.name
            self._value = _READERS[self.source](name)
        return self._value

    def as_dict(self) -> dict[str, str]:
        return {self.source: self.name}

    def __repr__(self) -> str:
        return f"Secret({self.source}:{self.name})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.source, self.name) == (other.source, other.name)

    def __hash__(self) -> int:
        return hash((self.source, self.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Secret, folder=self.folder), (self.source, self.name)


class Redactor:
    """Replaces every known secret value, in all the spellings it could leak in, by `***`."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._spellings: list[str] = []
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Masks these too, from now on."""
        # Shorter than four characters would mask half of every log, and protects nothing.
        spellings = {form for value in values if len(value) >= 4 for form in _spellings(value)}
        self._spellings = sorted({*self._spellings, *spellings}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text

    @property
    def longest(self) -> int:
        """Length in characters of the longest spelling: how much a stream must hold back to catch one split in two."""
        return len(self._spellings[0]) if self._spellings else 0


def beside_folder(folder: str, name: str) -> str:
    """The file `name`: `~` means home, and one that is relative lies in `folder`, or in the current one for none."""
    path = Path(name).expanduser()
    return str(Path(folder).absolute() / path) if folder else str(path)


def _spellings(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogateescape")
    forms = {value, shlex.quote(value), json.dumps(value)[1:-1], urllib.parse.quote(value, safe="")}
    forms.add(urllib.parse.quote_plus(value))
    # Inside a longer base64 text a value shows one of three alignments; its edges depend on its neighbours: drop them.
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + raw).decode()
        core = encoded[(0, 2, 3)[lead] :].rstrip("=")[: -1 if (len(raw) + lead) % 3 else None]
        forms.update({core, core.replace("+", "-").replace("/", "_")})
    forms.update(line for line in value.splitlines() if len(line) >= 8)
    return {form for form in forms if len(form) >= 4}


def _from_env(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ConfigError(f"the environment variable {name} is not set", hint=f"export {name}=…") from None


def _from_file(name: str) -> str:
    try:
        return Path(name).read_text("utf-8").rstrip("\n")
    except OSError as exc:
        raise ConfigError(f"secret file {name}: {exc.strerror}", hint="create it with mode 0600") from exc


def _from_cmd(name: str) -> str:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CMD_SECONDS
        )
    except subprocess.TimeoutExpired as exc:
        raise ConfigError(f"secret command gave no answer within {CMD_SECONDS:.0f} s: {name}") from exc
    if done.returncode:
        raise ConfigError(f"secret command ended {done.returncode}: {name}")
    return done.stdout.rstrip("\n")


def _from_aws(name: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        value = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError) as exc:
        raise ConfigError(f"AWS secret {name}: {exc}") from exc
    return str(value)


def refuse_plain(value: object) -> NoReturn:
    raise ConfigError(f"a secret is written as a reference, not as {type(value).__name__}", hint="{env: NAME}")


_READERS = {"env": _from_env, "file": _from_file, "cmd": _from_cmd, "aws": _from_aws}
