"""Every event as a line of JSON, for programs."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import TextIO

from dojo_deploy.events import Event
from dojo_deploy.reporters.text import Redact, redactor

SCHEMA = 1


class JsonLines:
    """A subscriber; its first line says what the others are."""

    def __init__(self, stream: TextIO, *, redact: Redact = str) -> None:
        self._stream = stream
        self._redacted = redactor(redact)
        self._write({"schema": SCHEMA, "tool": "dojo_deploy", "version": _version()})

    def __call__(self, event: Event) -> None:
        self._write(self._redacted(event).as_dict())

    def close(self) -> None:
        self._stream.flush()

    def _write(self, value: dict[str, object]) -> None:
        # ASCII: escapes and line separators of a host arrive as \u…; flushed, for whoever follows the run.
        self._stream.write(json.dumps(value) + "\n")
        self._stream.flush()


def _version() -> str:
    try:
        return version("dojo-deploy")
    except PackageNotFoundError:
        return ""
