"""Tasks that only look."""

from __future__ import annotations

import json as json_
from typing import Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended

MIXED = 30


@command("inventory", "json")
def status(context: Context, inventory: str = "", json: bool = False) -> None:
    """What answers on each host, and through the balancer.

    Ends 0 for a consistent fleet, and for one that a deliberate --limit left partial; 30 for a mixed one.
    """
    from dojo_deploy import app
    from dojo_deploy.reporters import census_table

    with ended(json=json):
        site = app.read(inventory or None)
        census, entry, closed = app.status(site), app.holder(site), app.is_closed(site)
    lock = {"held_by": str(entry.holder), "run": entry.run} if entry and entry.state == "held" else None
    open_run = entry.open if entry else ""
    if json:
        print(json_.dumps({**census.as_dict(), "lock": lock, "open_run": open_run, "closed": closed}, indent=2))
    else:
        print(census_table(census))
        if closed:
            print("users get the maintenance page: invoke maintenance.status")
        if lock:
            print(f"run {lock['run']} holds the lock: {lock['held_by']}")
        if open_run and not lock:
            print(f"run {open_run} never ended: invoke resume goes on with it, invoke abort undoes it")
    if census.verdict == "mixed":
        raise Exit(code=MIXED)


@command("inventory", "json")
def releases(context: Context, inventory: str = "", json: bool = False) -> None:
    """The record: what passed its gates, what is bad."""
    from dataclasses import asdict

    from dojo_deploy import app
    from dojo_deploy.reporters import releases_table
    from dojo_deploy.reporters.text import standing_by

    with ended(json=json):
        record = app.record(inventory or None)
    _print([asdict(release) for release in reversed(record.releases)], json=json, table=releases_table)
    if record.standby and not json:
        print(f"\n{record.live} serves; {standing_by(asdict(record.standby))}")


@command("inventory", "json")
def history(context: Context, inventory: str = "", json: bool = False) -> None:
    """The runs of this site, newest first."""
    from dojo_deploy import app
    from dojo_deploy.reporters import history_table

    with ended(json=json):
        runs = [dict(run) for run in app.history(inventory or None)]
    _print(runs, json=json, table=history_table)


@command("inventory", "run", "out", "json")
def report(context: Context, run: str = "", out: str = "", inventory: str = "", json: bool = False) -> None:
    """A run as one HTML file: what happened, when and why.

    It needs nothing else: attach it to a ticket, open it on a phone, print it.
    """
    from pathlib import Path

    from dojo_deploy import app
    from dojo_deploy.runs.reports import write

    with ended(json=json):
        found = app.report(inventory or None, run=run)
        path = Path(out) if out else found.path
        if out != "-":
            write(found, path)
    if out == "-":
        print(found.html)
    elif json:
        print(json_.dumps({"run": found.run, "report": str(path)}))
    else:
        print(f"{path}: the report of run {found.run}")


def _print(rows: list[dict[str, Any]], *, json: bool, table: Any) -> None:
    print(json_.dumps(rows, indent=2) if json else table(rows))
