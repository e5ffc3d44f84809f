"""A run kept until its end, and then written to a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dojo_deploy.errors import ConfigError
from dojo_deploy.events import Event, OutputWritten, StepStarted
from dojo_deploy.reporters.junit import junit
from dojo_deploy.reporters.markdown import markdown
from dojo_deploy.reporters.text import Redact, redactor


class Written:
    """A subscriber that writes what `render` makes of the run when it is closed: whole or not at all, or appended.

    Raises ConfigError, naming `flag`, for a place that cannot be written: at once, and not when the run has ended. A
    file of an earlier run is gone from the beginning.
    """

    render: Callable[[Sequence[Event]], str]

    def __init__(self, path: Path, *, flag: str = "", append: bool = False, redact: Redact = str) -> None:
        self._path, self._flag, self._append = path, flag, append
        self._redacted = redactor(redact)
        self._events: list[Event] = []
        self._is_open = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if append:
                path.open("a").close()
            else:
                path.unlink(missing_ok=True)
                tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as exc:
            raise self._error(exc) from exc

    def __call__(self, event: Event) -> None:
        if not isinstance(event, (OutputWritten, StepStarted)):  # the bulk of a run, and in none of the files
            self._events.append(self._redacted(event))

    def close(self) -> None:
        """Writes once. Raises ConfigError."""
        if not self._is_open:
            return
        self._is_open = False
        text = type(self).render(self._events)
        try:
            if self._append:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(text)
                return
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).chmod(0o644)  # another user's collector of artifacts reads it
            Path(name).replace(self._path)
        except OSError as exc:
            raise self._error(exc) from exc

    def _error(self, exc: OSError) -> ConfigError:
        return ConfigError(f"{self._path} cannot be written: {exc.strerror}", key=self._flag)


class Junit(Written):
    """A run as JUnit XML."""

    render = staticmethod(junit)


class Summary(Written):
    """A run as a page of Markdown."""

    render = staticmethod(markdown)
