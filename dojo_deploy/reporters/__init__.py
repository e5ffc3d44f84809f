"""What people and programs are told of a run: each reporter is a subscriber, a function of events alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from dojo_deploy.events import Event

KINDS: Mapping[str, str] = {
    "console": "dojo_deploy.reporters.console:Console",
    "plain": "dojo_deploy.reporters.plain:Plain",
    "jsonl": "dojo_deploy.reporters.jsonl:JsonLines",
}


class Reporter(Protocol):
    """A subscriber that holds something, until it is closed."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """May be called at any time, and again."""


def choose(
    stream: TextIO,
    *,
    json: bool = False,
    verbose: bool = False,
    redact: Callable[[str], str] = str,
    environ: Mapping[str, str] = os.environ,
) -> Reporter:
    """JSON lines when asked for, the live view on a person's terminal, plain lines anywhere else."""
    if json:
        from dojo_deploy.reporters.jsonl import JsonLines

        return JsonLines(stream, redact=redact)
    if stream.isatty() and not environ.get("CI") and environ.get("TERM", "") not in ("", "dumb"):
        from dojo_deploy.reporters.console import Console

        return Console(stream, redact=redact, verbose=verbose)
    from dojo_deploy.reporters.plain import Plain

    return Plain(stream, redact=redact, verbose=verbose)
