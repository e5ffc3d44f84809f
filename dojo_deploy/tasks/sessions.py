"""Sessions of a database for people: who waits for whom, and who is connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dojo_deploy.app.pressure import Pressure
    from dojo_deploy.tuning import Client


def tree(running: tuple[Client, ...]) -> list[str]:
    """Each session under the one that it waits for; those that wait for each other once."""
    known = {one.pid: one for one in running}
    told: set[int] = set()

    def below(one: Client, depth: int) -> Iterator[str]:
        if one.pid in told:
            return
        told.add(one.pid)
        yield _line(one, depth)
        for other in running:
            if one.pid in other.blocked_by:
                yield from below(other, depth + 1)

    first = [one for one in running if not any(pid in known for pid in one.blocked_by)]
    return [line for one in (*first, *running) for line in below(one, 0)]


def rows(found: Pressure) -> Iterator[str]:
    """Clients by application, user and state; what is forgotten; what the limit is, and what could be opened."""
    from dojo_deploy.migrations.fragments import masked

    seen = found.seen
    for one in seen.counted:
        who = one.application or "(unnamed)"
        yield f"{one.count:>5}  {one.state:<20} {who} as {one.user}, the oldest for {one.oldest:,.0f} s"
    kept = f"{seen.reserved} more are kept for superusers"
    yield f"{seen.used} of {seen.limit} connections; {kept}; {seen.background} processes of the server count for none"
    yield f"the application may open {found.reckoning}, {2 * found.demand} while two colours run"
    for leak in seen.leaks:
        yield f"leak: process {leak.pid} of {leak.application or leak.user} at {leak.address}, {leak.seconds:,.0f} s"
        yield f"      after {masked(leak.query)}"
    yield from (f"ALARM   {text}" for text in found.alarms)
    yield from (f"warning {text}" for text in found.warnings)
    if seen.leaks:
        yield "invoke db.connections --terminate --confirm   ends the leaks"


def _line(one: Client, depth: int) -> str:
    from dojo_deploy.migrations.fragments import masked

    who = f"process {one.pid} of {one.application or one.user}"
    waits = f", waits for {one.waits_for}" if one.blocked_by and one.waits_for else ""
    return (
        f"{'  ' * depth}{'└ ' if depth else ''}{who}: {one.state} for {one.seconds:,.1f} s{waits}: {masked(one.query)}"
    )
