"""Bare hosts made ready for deployments."""

from __future__ import annotations

import json as json_
from typing import Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended, is_dry

REFUSED, MIXED = 10, 30


@command("user", "key", "inventory", "limit", "dry-run", "json")
def setup(
    context: Context,
    user: str,
    key: str = "",
    inventory: str = "",
    limit: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Make bare hosts ready, once.

    With an administrator's account: the deploy user, its key and folder, what it may run by sudo, nginx's includes,
    and what brings processes back after a reboot. --dry-run shows every line. Again, it does what is still lacking.
    """
    from dojo_deploy import app
    from dojo_deploy.reporters import prepared

    dry = is_dry(context, dry_run)
    with ended(json=json):
        hosts = app.setup(inventory or None, user=user, key=key, limit=limit, dry=dry)
    rows: list[dict[str, Any]] = [
        {
            "host": host.host,
            "rows": [{"state": state, "what": one.what, "lines": one.lines} for state, one in host.rows],
            "trouble": host.trouble,
            "hint": host.hint,
        }
        for host in hosts
    ]
    print(json_.dumps(rows, indent=2) if json else "\n".join(prepared.lines(rows, dry=dry)))
    if any(host.trouble for host in hosts):
        changed = any(host.unknown for host in hosts) or any(
            state in ("done", "failed") for host in hosts for state in host.states
        )
        raise Exit(code=MIXED if changed else REFUSED)
