"""What people and programs are told of a run: each reporter is a subscriber, a function of events alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dojo_deploy.events import CensusTaken, Event

WIDE = 400  # columns
LONGEST = 10_000

KINDS: Mapping[str, str] = {
    "console": "dojo_deploy.reporters.console:Console",
    "plain": "dojo_deploy.reporters.plain:Plain",
    "jsonl": "dojo_deploy.reporters.jsonl:JsonLines",
    "junit": "dojo_deploy.reporters.written:Junit",
    "summary": "dojo_deploy.reporters.written:Summary",
    "annotations": "dojo_deploy.reporters.annotations:Annotations",
}


class Reporter(Protocol):
    """A subscriber that holds something, until it is closed."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """May be called at any time, and again."""


def census_table(census: CensusTaken) -> str:
    """The fleet, ready to print: as wide and as coloured as standard output allows."""
    from dojo_deploy.reporters import census as tables

    seen = (census.rows, census.verdict, census.through_balancer, census.live, census.standby)
    return _ready(tables.census_table(*seen))


def releases_table(known: Iterable[Mapping[str, str]], current: Mapping[str, str] | None = None) -> str:
    """The record, ready to print; `current` is host -> release."""
    from dojo_deploy.reporters import census as tables

    return _ready(tables.releases_table(known, current))


def history_table(runs: Iterable[Mapping[str, object]]) -> str:
    """Earlier runs, ready to print."""
    from dojo_deploy.reporters import census as tables

    return _ready(tables.history_table(runs))


def findings_text(rows: Sequence[Mapping[str, object]], hosts: Sequence[str], took: float) -> str:
    """What `check` found, ready to print; a line to paste is one line, however long."""
    from dojo_deploy.reporters import findings

    return _ready(findings.findings_text(rows, hosts, took), width=LONGEST)


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


def for_ci(
    *, junit: str = "", summary: str = "", redact: Callable[[str], str] = str, environ: Mapping[str, str] = os.environ
) -> tuple[Reporter, ...]:
    """What a job is left with: the files that are asked for, and on GitHub a summary and annotations, unasked.

    Raises ConfigError for a file that cannot be written.
    """
    from pathlib import Path

    found: list[Reporter] = []
    if junit or summary or environ.get("GITHUB_STEP_SUMMARY"):
        from dojo_deploy.reporters.written import Junit, Summary

        if junit:
            found.append(Junit(Path(junit), flag="--junit", redact=redact))
        if summary:
            found.append(Summary(Path(summary), flag="--summary", redact=redact))
        elif environ.get("GITHUB_STEP_SUMMARY"):
            # One file for all the commands of a step.
            file = Path(environ["GITHUB_STEP_SUMMARY"])
            found.append(Summary(file, flag="$GITHUB_STEP_SUMMARY", append=True, redact=redact))
    if environ.get("GITHUB_ACTIONS") == "true":
        from dojo_deploy.reporters.annotations import Annotations

        # Standard output may be JSON; the runner reads both.
        found.append(Annotations(sys.stderr, redact=redact))
    return tuple(found)


def _ready(renderable: RenderableType, *, width: int | None = None) -> str:
    from rich.console import Console

    # A file or another program gets whole lines, however long.
    if width is None and not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        width = WIDE
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    with console.capture() as said:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in said.get().splitlines())
