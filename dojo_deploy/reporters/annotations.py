"""What went wrong, beside the file that it is about, as GitHub shows it; its lines are commands to the runner."""

from __future__ import annotations

import re
from typing import TextIO

from dojo_deploy.events import Event, OutputWritten, RunFinished, StepStarted
from dojo_deploy.reporters.cases import Case, cases
from dojo_deploy.reporters.text import Redact, redactor

MOST = 10  # GitHub keeps no more of one step
PLACE = re.compile(r"^(?P<file>[^\s:]+\.(?:ya?ml|json)):(?P<line>\d+): ")


class Annotations:
    """A subscriber. `file` is the inventory: what is said of a host, or of no other file, is shown there."""

    def __init__(self, stream: TextIO, *, file: str = "", redact: Redact = str) -> None:
        self.file = file
        self._stream = stream
        self._redacted = redactor(redact)
        self._events: list[Event] = []

    def __call__(self, event: Event) -> None:
        if not isinstance(event, (OutputWritten, StepStarted)):
            self._events.append(self._redacted(event))
        if isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Once; the run as a whole first, for it says the most."""
        events, self._events = self._events, []
        wrong = [case for case in cases(events) if case.is_wrong] if events else []
        for case in [*wrong[-1:], *wrong[:-1]][:MOST]:
            place = PLACE.match(case.text)
            about = {"file": self.file, "title": f"{case.stage} · {case.name}"} | (place.groupdict() if place else {})
            told = ",".join(f"{key}={_property(value)}" for key, value in about.items() if value)
            self._stream.write(f"::error {told}::{_data(_message(case))}\n")
        self._stream.flush()


def _message(case: Case) -> str:
    """The title, and of the text what is not its end."""
    first, _, rest = case.text.partition("\n")
    return f"{case.title}\n{rest if case.title.endswith(first) else case.text}".strip()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
