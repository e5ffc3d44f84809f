"""A backup in the place of the live database."""

from __future__ import annotations

import json as json_
from typing import Any

from invoke import Context, task

from dojo_deploy.tasks.flags import HELP, FlaggedTask, ended, is_dry, overrides
from dojo_deploy.tasks.runs import change

FLAGS = ("backup", "undo", "cluster", "inventory", "dry-run", "set", "json", "verbose")


@task(
    klass=FlaggedTask,
    help={**{name: HELP[name] for name in FLAGS}, "confirm": "the name of the database, typed"},
    iterable=["set"],
    auto_shortflags=False,
)
def restore(
    context: Context,
    backup: str = "",
    confirm: str = "",
    undo: bool = False,
    cluster: str = "",
    inventory: str = "",
    dry_run: bool = False,
    set: Any = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Put a backup in the live database's place.

    Which is kept. The newest proven one, if none is named. --confirm NAME does it; --dry-run shows what is given
    up; --undo takes back what was live.
    """
    from dojo_deploy.app import restores

    values = overrides(set or [])
    wanted = restores.Wanted(backup=backup, undo=undo, cluster=cluster)
    if is_dry(context, dry_run):
        with ended(json=json):
            plan = restores.plan(inventory or None, wanted, overrides=values)
        print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))
        return
    change(
        lambda site, wishes: restores.restore(site, wanted, confirm=confirm, overrides=values, wishes=wishes),
        inventory,
        load=None,
        json=json,
        verbose=verbose,
    )
