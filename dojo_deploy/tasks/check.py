"""Hosts, before anything is deployed to them."""

from __future__ import annotations

import json as json_
from dataclasses import asdict

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended

REFUSED = 10


@command("inventory", "json")
def check(context: Context, inventory: str = "", json: bool = False) -> None:
    """What is wrong with hosts, and what mends it.

    Reads only. Ends 10 when something would fail a deployment, 0 when nothing would.
    """
    from dojo_deploy import app
    from dojo_deploy.reporters import findings_text

    with ended(json=json):
        checked = app.check(inventory or None)
    if json:
        rows = [asdict(finding) for finding in checked.findings]
        print(json_.dumps({"hosts": checked.hosts, "seconds": round(checked.seconds, 1), "findings": rows}, indent=2))
    else:
        print(findings_text([asdict(finding) for finding in checked.findings], checked.hosts, checked.seconds))
    if checked.faults:
        raise Exit(code=REFUSED)
