"""Migrations of the database: judged, looked at, run."""

from __future__ import annotations

import json as json_
from dataclasses import asdict
from typing import Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import allowed, command, ended, is_dry, overrides
from dojo_deploy.tasks.runs import change

REFUSED, FAILED = 10, 20


@command("path", "json")
def lint(context: Context, path: str = "", json: bool = False) -> None:
    """What migrations would do to the release that runs.

    Of a folder or a file, without a host. Ends 10 for what a deployment would refuse, or what cannot work.
    """
    from dojo_deploy.migrations.backfile import place
    from dojo_deploy.migrations.findings import GRAVE
    from dojo_deploy.migrations.folders import in_folder

    with ended(json=json):
        files = in_folder(place(path))
    if json:
        print(json_.dumps([asdict(file) for file in files], indent=2))
    else:
        for file in files:
            for found in file.findings:
                print(f"{file.name}:{found.line}: {found.kind}: {found.reason}")
                print(f"    → {found.instead}" if found.instead else "", end="\n" if found.instead else "")
        sound = sum(not file.findings for file in files)
        print(f"{len(files)} files, {sound} of them only expand")
    if any(found.kind in (*GRAVE, "fails") for file in files for found in file.findings):
        raise Exit(code=REFUSED)


@command("inventory", "strategy", "json")
def status(context: Context, inventory: str = "", strategy: str = "rolling", json: bool = False) -> None:
    """What the database has seen of the migrations.

    Ends 20 when one stopped half-way.
    """
    from dojo_deploy.app import migrations

    with ended(json=json):
        found = migrations.status(inventory or None, strategy)
    if json:
        print(json_.dumps({**asdict(found), "states": dict(found.states)}, indent=2))
    elif not found.source:
        print("nothing serves yet: invoke deploy")
    else:
        for name, state in found.states.items():
            print(f"{state:<8}  {name}")
        print(f"{found.release}: {len(found.states)} migrations, by {found.source}")
        if found.trouble:
            print(f"the database itself was not asked: {found.trouble}")
    if "failed" in found.states.values():
        raise Exit(code=FAILED)


@command("inventory", "strategy", "allow_contract", "reason", "dry_run", "set", "json", "verbose", iterable=("set",))
def migrate(
    context: Context,
    inventory: str = "",
    strategy: str = "rolling",
    allow_contract: bool = False,
    reason: str = "",
    dry_run: bool = False,
    set: Any = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Run the `migrate` line of a strategy in what serves.

    For after a `resolve` or a restored backup; `deploy` migrates by itself.
    """
    from dojo_deploy.app import migrations

    values = {**overrides(set or []), **allowed(allow_contract, reason, under="migrate.")}
    if is_dry(context, dry_run):
        with ended(json=json):
            plan = migrations.plan(inventory or None, strategy, overrides=values)
        print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))
        return
    change(
        lambda site, wishes: migrations.migrate(site, strategy, overrides=values, wishes=wishes),
        inventory,
        load=False,
        json=json,
        verbose=verbose,
    )


@command("migration", "path", "dry_run", "json")
def reverse(context: Context, migration: str = "", path: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Write the migration that takes one back.

    Of the newest in the folder, or --migration. What cannot be taken back is said there, and here.
    """
    from dojo_deploy.app import migrations

    dry = is_dry(context, dry_run)
    with ended(json=json):
        found = migrations.reverse(path, migration, confirmed=not dry)
    if json:
        print(json_.dumps({**asdict(found), "path": str(found.path), "written": not dry}, indent=2))
        return
    print(found.sql if dry else f"{found.path}: takes back {found.of}")
    for part in found.left:
        print(f"not taken back: {found.of}:{part.line}: {part.why}")
    for finding in found.findings:
        print(f"a deployment will say: {finding.kind}: {finding.reason}")
