"""The database looked at and tuned while it serves: the second half of the collection `db`."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import asdict
from typing import Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended, is_dry, seconds
from dojo_deploy.tasks.runs import change
from dojo_deploy.tasks.sessions import rows, tree

ALARM = 30


@command("query", "inventory", "analyze", "within", "json")
def explain(
    context: Context,
    query: str,
    inventory: str = "",
    analyze: bool = False,
    within: str = "30s",
    json: bool = False,
) -> None:
    """How the server would carry out one statement.

    In a transaction that is rolled back, and cannot write. With --analyze the statement runs, and is rolled back.
    """
    from dojo_deploy.app import tuning

    with ended(json=json):
        text = sys.stdin.read() if query == "-" else query
        said = tuning.explain(inventory or None, text, analyze=analyze, json=json, within=seconds("within", within))
    print(said)
    if analyze and not json:
        print("it ran, and was rolled back")


@command(
    "table", "columns", "name", "using", "unique", "include", "where", "inventory", "within", "lock_within", "dry_run",
    "json", "verbose",
)  # fmt: skip
def index(
    context: Context,
    table: str,
    columns: str,
    name: str = "",
    using: str = "btree",
    unique: bool = False,
    include: str = "",
    where: str = "",
    inventory: str = "",
    within: str = "6h",
    lock_within: str = "60s",
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Build an index without a lock on writes.

    What an earlier attempt left invalid is dropped first; what fails is dropped and tried again.
    """
    from dojo_deploy.app import tuning
    from dojo_deploy.app.drafts import Wanted

    with ended(json=json):
        wanted = Wanted(table, columns, name, using, unique, include, where)
        chosen = tuning.indexing(wanted, _patience(within, lock_within))
    _do(context, chosen, inventory, dry_run=dry_run, json=json, verbose=verbose)


@command("index", "table", "all", "inventory", "within", "lock_within", "dry_run", "json", "verbose")
def reindex(
    context: Context,
    index: str = "",
    table: str = "",
    all: bool = False,
    inventory: str = "",
    within: str = "6h",
    lock_within: str = "60s",
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Rebuild indexes one by one, beside those that serve.

    What earlier attempts left (…_ccnew, …_ccold) is dropped first.
    """
    from dojo_deploy.app import tuning

    with ended(json=json):
        patience = _patience(within, lock_within)
        chosen = tuning.reindexing(index=index, table=table, everything=all, patience=patience)
    _do(context, chosen, inventory, dry_run=dry_run, json=json, verbose=verbose)


@command("table", "all", "throttle", "inventory", "within", "lock_within", "dry_run", "json", "verbose")
def vacuum(
    context: Context,
    table: str = "",
    all: bool = False,
    throttle: int = 200,
    inventory: str = "",
    within: str = "6h",
    lock_within: str = "60s",
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Vacuum tables one by one, throttled; never FULL.

    Without --table or --all: those with a tenth of their rows dead, or never analysed.
    """
    from dojo_deploy.app import tuning

    with ended(json=json):
        patience = _patience(within, lock_within)
        chosen = tuning.vacuuming(table=table, everything=all, throttle=throttle, patience=patience)
    _do(context, chosen, inventory, dry_run=dry_run, json=json, verbose=verbose)


@command("inventory", "top", "json")
def slow_queries(context: Context, inventory: str = "", top: int = 10, json: bool = False) -> None:
    """What takes the database's time, and who waits.

    Statements as pg_stat_statements counts them, where it is there; what users typed into them is not shown.
    """
    from dojo_deploy.app import tuning
    from dojo_deploy.migrations.fragments import masked

    with ended(json=json):
        found = tuning.slow(inventory or None, top=top)
    if json:
        clean = asdict(found)
        for row in (*clean["statements"], *clean["running"]):
            row["query"] = masked(row["query"])
        print(json_.dumps(clean, indent=2))
        return
    for one in found.statements:
        hits = "" if one.hits is None else f", {100 * float(one.hits):.0f} % from memory"
        print(f"{one.total / 1000:>10,.1f} s  {one.calls:>9,} × {one.mean:,.1f} ms, {one.rows:,} rows{hits}")
        print(f"              {masked(one.query)}")
    print(f"by {found.source}, since it was last reset" if found.source else f"no statistics: {found.why}")
    for line in tree(found.running) or ["nothing runs long, and nobody waits for a lock"]:
        print(line)


@command("inventory", "terminate", "confirm", "dry_run", "json", "verbose")
def connections(
    context: Context,
    inventory: str = "",
    terminate: bool = False,
    confirm: bool = False,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Clients by state; ends 30 if the pools do not fit.

    --terminate shows which forgotten sessions would be ended, with --confirm it ends them.
    """
    from dojo_deploy.app import tuning

    if terminate:
        shown = _do(context, tuning.ending(), inventory, dry_run=dry_run or not confirm, json=json, verbose=verbose)
        if shown and not confirm and not json:
            print("nothing was ended; --confirm ends them")
        return
    with ended(json=json):
        found = tuning.connections(inventory or None)
    if json:
        print(json_.dumps({**asdict(found), "seen": _without_queries(asdict(found.seen))}, indent=2))
    else:
        for line in rows(found):
            print(line)
    if found.alarms:
        raise Exit(code=ALARM)


def _patience(within: str, lock_within: str) -> Any:
    from dojo_deploy.steps.concurrently import Patience

    return Patience(seconds("within", within), seconds("lock-within", lock_within))


def _without_queries(seen: dict[str, Any]) -> dict[str, Any]:
    return {**seen, "leaks": [{key: leak[key] for key in leak if key != "query"} for leak in seen["leaks"]]}


def _do(context: Context, chosen: Any, inventory: str, *, dry_run: bool, json: bool, verbose: bool) -> bool:
    """Does it; or shows it, and says whether there was anything to show."""
    from dojo_deploy.app import tuning

    if not is_dry(context, dry_run):
        change(
            lambda site, wishes: tuning.run(site, chosen, wishes=wishes),
            inventory,
            load=False,
            json=json,
            verbose=verbose,
        )
        return False
    with ended(json=json):
        plan = tuning.plan(inventory or None, chosen)
    if isinstance(plan, str):
        print(json_.dumps({"verdict": "nothing to do", "reason": plan, "exit_code": 0}) if json else plan)
    else:
        print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))
    return not isinstance(plan, str)
