"""Tasks that change the fleet."""

from __future__ import annotations

import json as json_
from collections.abc import Mapping
from typing import Any

from invoke import Context

from dojo_deploy.tasks.apart import LetGo, apart
from dojo_deploy.tasks.flags import allowed, command, ended, is_dry, measured, overrides
from dojo_deploy.tasks.runs import change


@command(
    *("strategy", "inventory", "ref", "artifact", "limit", "allow_contract", "reason"),
    *("dry_run", "set", "probe", "no_probe", "report", "junit", "summary", "json", "verbose"),
    iterable=("set",),
)
def deploy(
    context: Context,
    strategy: str = "rolling",
    inventory: str = "",
    ref: str = "",
    artifact: str = "",
    limit: str = "",
    allow_contract: bool = False,
    reason: str = "",
    dry_run: bool = False,
    set: Any = None,
    probe: bool = False,
    no_probe: bool = False,
    report: str = "",
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Bring a release into service, gated and undoable.

    It is built once, from --ref, or taken from --artifact. Then it goes out batch by batch, each held at its gate;
    what fails is undone.
    """
    from dojo_deploy import app

    values = {**overrides(set or []), **allowed(allow_contract, reason, under="migrate.")}
    asked: Mapping[str, Any] = {"ref": ref, "artifact": artifact, "limit": limit, "overrides": values}
    if is_dry(context, dry_run):
        _show(inventory, strategy, json=json, **asked)
        return
    change(
        lambda site, wishes: app.deploy(site, strategy, wishes=wishes, **asked),
        inventory,
        load=measured(probe=probe, no_probe=no_probe),
        report=report,
        junit=junit,
        summary=summary,
        json=json,
        verbose=verbose,
        meets=limit if artifact else None,
    )


@command(
    *("strategy", "inventory", "to", "limit", "allow_contract", "reason"),
    *("dry_run", "set", "wait", "probe", "no_probe", "junit", "summary", "json", "verbose"),
    iterable=("set",),
)
def rollback(
    context: Context,
    to: str = "",
    strategy: str = "rollback",
    inventory: str = "",
    limit: str = "",
    allow_contract: bool = False,
    reason: str = "",
    dry_run: bool = False,
    set: Any = None,
    wait: bool = False,
    probe: bool = False,
    no_probe: bool = False,
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Bring back the last good release, or --to.

    Nothing is built: it must lie on the hosts, and run on the schema. What is left is marked bad. While it stands by,
    this ends as soon as users have it, and queue workers follow by themselves (--wait waits for them).
    """
    values = {**overrides(set or []), **allowed(allow_contract, reason)}
    asked: Mapping[str, Any] = {"to": to, "limit": limit, "overrides": values}
    if is_dry(context, dry_run):
        _show(inventory, strategy, json=json, back=True, **asked)
        return
    load = measured(probe=probe, no_probe=no_probe)

    def work(let_go: LetGo | None) -> None:
        from dojo_deploy import app

        change(
            lambda site, wishes: app.rollback(site, strategy, wishes=wishes, **asked),
            inventory,
            load=load,
            meets=limit,
            junit=junit,
            summary=summary,
            json=json,
            verbose=verbose,
            # A look at every server of the embedded fleet takes as long as the switch itself.
            bring_up=False,
            let_go=let_go,
        )

    work(None) if wait else apart(work)


@command(
    *("inventory", "limit", "dry_run", "set", "probe", "no_probe", "junit", "summary", "json", "verbose"),
    iterable=("set",),
)
def restart(
    context: Context,
    inventory: str = "",
    limit: str = "",
    dry_run: bool = False,
    set: Any = None,
    probe: bool = False,
    no_probe: bool = False,
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Restart what runs, batch by batch, without a gap."""
    from dojo_deploy import app

    asked: Mapping[str, Any] = {"limit": limit, "overrides": overrides(set or [])}
    if is_dry(context, dry_run):
        _show(inventory, "restart", json=json, **asked)
        return
    change(
        lambda site, wishes: app.restart(site, wishes=wishes, **asked),
        inventory,
        load=measured(probe=probe, no_probe=no_probe),
        meets=limit,
        junit=junit,
        summary=summary,
        json=json,
        verbose=verbose,
    )


@command("now", "inventory", "dry_run", "junit", "summary", "json", "verbose")
def retire(
    context: Context,
    now: bool = False,
    inventory: str = "",
    dry_run: bool = False,
    junit: str = "",
    summary: str = "",
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Stop the standby that blue-green left, once it is due.

    For cron and CI: ends 0 when nothing is due, 10 while what serves is not well.
    """
    from dojo_deploy import app

    if is_dry(context, dry_run):
        with ended(json=json):
            standby, reason = app.due(inventory or None, now=now)
        if standby:
            _show(inventory, "retire", json=json, overrides={"until": standby.until})
        else:
            nothing = {"verdict": "nothing to do", "reason": reason, "exit_code": 0}
            print(json_.dumps(nothing) if json else reason)
        return
    change(
        lambda site, wishes: app.retire(site, now=now, wishes=wishes),
        inventory,
        load=False,
        junit=junit,
        summary=summary,
        json=json,
        verbose=verbose,
    )


def _show(inventory: str, strategy: str, *, json: bool, **asked: Any) -> None:
    from dojo_deploy import app

    with ended(json=json):
        plan = app.plan(inventory, strategy, **asked)
    print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))
