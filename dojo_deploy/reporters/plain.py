"""One line per fact with its time, for logs: no colour, no cursor, nothing that is taken back."""

from __future__ import annotations

from typing import TextIO

from dojo_deploy.events import Event
from dojo_deploy.reporters.sentences import sentences
from dojo_deploy.reporters.text import Redact, inert, redactor


class Plain:
    """A subscriber. Times are UTC, from the events; `redact` is applied to every text."""

    def __init__(self, stream: TextIO, *, redact: Redact = str, verbose: bool = False) -> None:
        self._stream = stream
        self._redacted = redactor(redact)
        self._verbose = verbose

    def __call__(self, event: Event) -> None:
        lines = sentences(self._redacted(event), verbose=self._verbose)
        if lines:
            time = f"{event.at[:19]}Z" if event.at else "-"
            self._stream.write("".join(f"{time} {inert(line)}\n" for line in lines))
            self._stream.flush()

    def close(self) -> None:
        self._stream.flush()
