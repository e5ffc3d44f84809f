"""The main job, shown: two good releases and a broken one, under load, on the embedded fleet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy import app
from dojo_deploy.interfaces import Subscriber
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes

AT_LEAST = 5000  # requests measured per deployment
RATE = 500.0  # requests per second


@dataclass(frozen=True)
class Act:
    """One deployment of the demonstration, and how it must end."""

    ref: str
    title: str
    verdict: str


ACTS = (
    Act("v1", "v1: the first release, onto bare hosts", "done"),
    Act("v2", "v2: a new release and a migration, under load", "done"),
    Act("v3", "v3: answers 500 to everything, and must not reach a user", "rolled back"),
)


def play(inventory: Path, reporter: Callable[[], Subscriber], *, say: Callable[[str], None] = print) -> bool:
    """Plays all acts; True when every one ended as it must, with no failed request."""
    started = time.monotonic()
    results = []
    for act in ACTS:
        say(f"\n━━ {act.title}")
        results.append((act, _deploy(inventory, act, reporter())))
    say("\n━━ What users saw")
    fine = True
    for act, result in results:
        load = result.load
        right = result.verdict == act.verdict and load is not None and not load.failures and load.requests >= AT_LEAST
        fine &= right
        seen = f"{load.failures} failed of {load.requests:,}, p95 {load.p95_ms:.0f} ms" if load else "not measured"
        say(f"  {'✓' if right else '✗'} {act.ref}  {result.verdict:<12} {seen}  ({result.seconds:.1f} s)")
    say(f"  {time.monotonic() - started:.0f} s in all. Look around: invoke status, invoke releases, invoke history")
    return fine


def _deploy(inventory: Path, act: Act, reporter: Subscriber) -> Result:
    wishes = Wishes(subscribers=(reporter,), probe_rate=RATE, probe_at_least=AT_LEAST)
    try:
        return app.deploy(inventory, "rolling", ref=act.ref, wishes=wishes)
    finally:
        close = getattr(reporter, "close", None)
        if close:
            close()
