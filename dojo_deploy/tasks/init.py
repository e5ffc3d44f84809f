"""The first contact: files for a repository that has none."""

from __future__ import annotations

import json as json_

from invoke import Context

from dojo_deploy.tasks.flags import command, ended


@command("inventory", "json")
def init(context: Context, inventory: str = "production", json: bool = False) -> None:
    """Write the first files for this repository.

    An inventory, a strategy and tasks.py, from what lies in it: package.json, ecosystem.config.js, prisma/,
    .env.example. Asks nothing, runs nothing, and overwrites nothing.
    """
    from dataclasses import asdict

    from dojo_deploy import app

    with ended(json=json):
        begun = app.init(inventory)
    if json:
        print(json_.dumps(asdict(begun), indent=2))
        return
    print(*(f"found  {each}" for each in begun.found), sep="\n")
    print(
        *(f"wrote  {name}" for name in begun.written), *(f"left   {name}: {why}" for name, why in begun.left), sep="\n"
    )
    width = max(len(line) for line, _ in begun.then)
    print(
        "\nnext",
        *(f"  {line.ljust(width)}  {f'# {why}' if why else ''}".rstrip() for line, why in begun.then),
        sep="\n",
    )
