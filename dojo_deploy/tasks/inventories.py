"""What is configured, and what could be: files only, no host is asked."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator
from typing import TYPE_CHECKING

from invoke import Context

from dojo_deploy.tasks.flags import command, ended

if TYPE_CHECKING:
    from dojo_deploy.configuration.described import Description, Key
WIDE = 24  # a longer default has its own way


@command("inventory", "graph", "host", "json")
def inventory(context: Context, inventory: str = "", graph: bool = False, host: str = "", json: bool = False) -> None:
    """The inventory as it is understood.

    Every key, defaults too; what it extends is laid under it. Secrets are named, never read. --graph draws the
    groups, --host shows one host.
    """
    from dojo_deploy import app
    from dojo_deploy.configuration.written import written

    with ended(json=json):
        if graph and not json:
            print(*app.graph(inventory or None), sep="\n")
            return
        found = app.resolved_host(host, inventory or None) if host else app.resolved(inventory or None)
    if graph:
        found = found["groups"]
    print(json_.dumps(found, indent=2) if json else written(found).rstrip())


@command("strategy", "inventory", "json")
def strategies(context: Context, strategy: str = "", inventory: str = "", json: bool = False) -> None:
    """Each strategy: what it does, its keys, their defaults.

    Ours, and those of files in strategies/; --strategy shows one of them, or any package.module:Class.
    """
    from dataclasses import asdict

    from dojo_deploy import app

    with ended(json=json):
        found = app.strategies(strategy, inventory or None)
    if json:
        print(json_.dumps([asdict(each) for each in found], indent=2))
    else:
        print("\n\n".join("\n".join(_told(each)) for each in found))


def _told(strategy: Description) -> Iterator[str]:
    yield f"{strategy.name}  ({strategy.target})"
    yield from (f"    {line}".rstrip() for line in strategy.text.splitlines())
    rows = [(key.name, _default(key), key.type) for key in strategy.keys]
    wide = max((len(name) for name, _, _ in rows), default=0)
    deep = max((len(text) for _, text, _ in rows if len(text) <= WIDE), default=0)
    yield from (f"  {name.ljust(wide)}  {text.ljust(deep)}  {kind}" for name, text, kind in rows)


def _default(key: Key) -> str:
    if key.is_required:
        return "required"
    return f"{key.default:g} s" if key.unit == "seconds" else json_.dumps(key.default)
