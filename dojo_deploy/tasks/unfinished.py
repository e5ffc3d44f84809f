"""Tasks for a run that never ended."""

from __future__ import annotations

from invoke import Context

from dojo_deploy.tasks.flags import command
from dojo_deploy.tasks.runs import change


@command("inventory", "junit", "summary", "json", "verbose")
def resume(
    context: Context,
    inventory: str = "",
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Go on with the run that never ended.

    From this machine or any other: it needs the store and the hosts, nothing else.
    """
    from dojo_deploy import app

    change(
        lambda site, wishes: app.resume(site, wishes=wishes),
        inventory,
        load=False,
        junit=junit,
        summary=summary,
        json=json,
        verbose=verbose,
    )


@command("inventory", "reason", "junit", "summary", "json", "verbose")
def abort(
    context: Context,
    inventory: str = "",
    reason: str = "",
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Undo the run that never ended.

    From this machine or any other: it needs the store and the hosts, nothing else.
    """
    from dataclasses import replace

    from dojo_deploy import app

    change(
        lambda site, wishes: app.abort(site, wishes=replace(wishes, reason=reason)),
        inventory,
        load=False,
        junit=junit,
        summary=summary,
        json=json,
        verbose=verbose,
    )
