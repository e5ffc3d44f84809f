"""From what a caller names to an inventory, and to an open session on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dojo_deploy.config import find_inventory, load_inventory, sandbox_options
from dojo_deploy.inventory import Inventory
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import OpenSession, opened

Site = OpenSession | Inventory | str | Path | None


@contextlib.contextmanager
def opening(inventory: Site, *, bring_up: bool = False) -> Iterator[OpenSession]:
    """An open session on an inventory, closed afterwards; one that is open already is its owner's to close.

    Raises ConfigError.
    """
    if isinstance(inventory, OpenSession):
        yield inventory
        return
    with opened(read(inventory, bring_up=bring_up)) as session:
        yield session


def read(inventory: Site, *, bring_up: bool = False) -> Inventory:
    """An inventory by name, path or as it is. `bring_up`: start the embedded fleet if it is that one and is down."""
    if isinstance(inventory, OpenSession):
        return inventory.inventory
    if isinstance(inventory, Inventory):
        return inventory
    path = find_inventory(str(inventory) if inventory else None)
    if bring_up:
        options = sandbox_options(path)
        if options is not None:
            from dojo_deploy.sandbox.inventory import bring_up as start

            start(path, options)
    return load_inventory(path)


def complete(session: OpenSession, wishes: Wishes | None, limit: str = "") -> Wishes:
    """What was asked of a run, with its limit, and with what must not be shown."""
    return replace(wishes or Wishes(), limit=limit, redact=session.redact)
