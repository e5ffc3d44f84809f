"""The embedded fleet: real SSH hosts, PM2, nginx, PostgreSQL, Redis and S3 on this machine, without root."""

from __future__ import annotations

import json as json_
from pathlib import Path

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended


@command("inventory")
def up(context: Context, inventory: str = "") -> None:
    """Start the embedded fleet, or what of it does not run."""
    from dojo_deploy.sandbox.inventory import bring_up

    with ended():
        path, options = _named(inventory)
        bring_up(path, options)
    status(context, inventory=inventory)


@command("inventory", "json")
def status(context: Context, inventory: str = "", json: bool = False) -> None:
    """What of the embedded fleet runs, and where."""
    from dojo_deploy import sandbox
    from dojo_deploy.sandbox.inventory import home

    with ended(json=json):
        path, options = _named(inventory)
        services = sandbox.status(home(path, options))
    if json:
        print(json_.dumps(services, indent=2))
        return
    for service in services:
        state = f"pid {service['pid']}" if service["alive"] else "down"
        print(f"{service['name']:<12} {state:<12} {service['address']}")
    if not services:
        print("no sandbox yet: invoke sandbox.up")


@command("inventory", "destroy")
def down(context: Context, inventory: str = "", destroy: bool = False) -> None:
    """End the embedded fleet; its data stay.

    Its own processes are ended, by their ids, and no others. --destroy removes its folder, too.
    """
    from dojo_deploy import sandbox
    from dojo_deploy.sandbox.inventory import home

    with ended():
        path, options = _named(inventory)
        folder = home(path, options)
        there = folder.is_dir()
        sandbox.down(folder, destroy=destroy)
    if not there:
        print("no sandbox here: nothing to end")
    else:
        print(f"the sandbox is down; {'its data are gone' if destroy else f'its data stay in {folder}'}")


@command("inventory", "verbose")
def demo(context: Context, inventory: str = "", verbose: bool = False) -> None:
    """Deploy v1, v2, and a broken v3 onto it, under load."""
    import sys

    from dojo_deploy import app
    from dojo_deploy.confidential import redactor
    from dojo_deploy.reporters import choose
    from dojo_deploy.sandbox.demo import play

    with ended():
        path, _ = _named(inventory)
        site = app.read(path, bring_up=True)
        fine = play(path, lambda: choose(sys.stdout, verbose=verbose, redact=redactor(site)))
    if not fine:
        raise Exit("the demonstration did not end as it must", code=1)


def _named(inventory: str) -> tuple[Path, dict[str, object]]:
    from dojo_deploy.config import find_inventory, sandbox_options

    path = find_inventory(inventory or None)
    options = sandbox_options(path)
    if options is None:
        raise Exit(f"{path} is no sandbox inventory; one says `sandbox: {{hosts: 3}}`", code=2)
    return path, dict(options)
