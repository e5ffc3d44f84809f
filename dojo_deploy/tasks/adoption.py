"""The first contact with a fleet that was deployed to by hand."""

from __future__ import annotations

import json as json_
from typing import Any

from invoke import Context

from dojo_deploy.tasks.flags import command, ended, is_dry, measured, overrides
from dojo_deploy.tasks.runs import change


@command(
    "checkout", "inventory", "allow_gap", "dry_run", "set", "probe", "no_probe", "json", "verbose", iterable=("set",)
)
def adopt(
    context: Context,
    checkout: str,
    inventory: str = "",
    allow_gap: bool = False,
    dry_run: bool = False,
    set: Any = None,
    probe: bool = False,
    no_probe: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Make a running git checkout the first release.

    In place: nothing is copied or built. PM2's apps in that folder go on as processes of the inventory, host by host,
    and the first deployment can be rolled back to them.
    """
    from dojo_deploy import app

    values = {**overrides(set or []), **({"allow_gap": "true"} if allow_gap else {})}
    if is_dry(context, dry_run):
        with ended(json=json):
            plan = app.adoption(checkout, inventory or None, overrides=values)
        print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))
        return
    change(
        lambda site, wishes: app.adopt(checkout, site, overrides=values, wishes=wishes),
        inventory,
        load=measured(probe=probe, no_probe=no_probe),
        json=json,
        verbose=verbose,
    )
