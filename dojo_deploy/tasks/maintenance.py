"""Maintenance windows: announced, begun, extended, ended."""

from __future__ import annotations

import json as json_
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from invoke import Context

from dojo_deploy.errors import DojoError
from dojo_deploy.tasks.flags import command, ended, is_dry, overrides, seconds
from dojo_deploy.tasks.runs import change

if TYPE_CHECKING:
    from dojo_deploy.app.windows import View
    from dojo_deploy.runs.conduct import Result


@command("at", "lasts", "title", "text", "reason", "inventory", "set", "json", iterable=("set",))
def schedule(
    context: Context,
    at: str = "",
    lasts: str = "",
    title: str = "Scheduled maintenance",
    text: str = "The site will be unavailable",
    reason: str = "",
    inventory: str = "",
    set: Any = None,
    json: bool = False,
) -> None:
    """Announce a window to users.

    Ends 10 when that is later than the notice that users are to have, unless there is a --reason.
    """
    from dojo_deploy.app import windows

    with ended(json=json):
        view = windows.schedule(
            inventory or None,
            at=at,
            lasts=seconds("lasts", lasts),
            title=title,
            text=text,
            reason=reason,
            overrides=overrides(set or []),
        )
    _show(view, json=json)


@command("reason", "inventory", "dry_run", "set", "json", "verbose", iterable=("set",))
def start(
    context: Context,
    reason: str = "",
    inventory: str = "",
    dry_run: bool = False,
    set: Any = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Close the site, back it up, work, verify, open, watch.

    Without `work:` it ends with the page up. What fails once the work has begun leaves it up, and ends 20.
    """
    from dojo_deploy.app import windows

    values = overrides(set or [])
    if is_dry(context, dry_run):
        _plan(inventory, "start", values, json=json)
        return
    _run(
        lambda site, wishes: windows.start(site, reason=reason, overrides=values, wishes=wishes),
        inventory,
        json=json,
        verbose=verbose,
    )


@command("by", "reason", "inventory", "json")
def extend(context: Context, by: str = "", reason: str = "", inventory: str = "", json: bool = False) -> None:
    """Make the window longer, and tell users so.

    While a run goes on in it, too.
    """
    from dojo_deploy.app import windows

    with ended(json=json):
        view = windows.extend(inventory or None, by=seconds("by", by), reason=reason)
    _show(view, json=json)


@command("inventory", "dry_run", "set", "json", "verbose", iterable=("set",))
def finish(
    context: Context,
    inventory: str = "",
    dry_run: bool = False,
    set: Any = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Verify, open the site and watch it: the work is done."""
    from dojo_deploy.app import windows

    values = overrides(set or [])
    if is_dry(context, dry_run):
        _plan(inventory, "finish", values, json=json)
        return
    _run(
        lambda site, wishes: windows.finish(site, overrides=values, wishes=wishes),
        inventory,
        json=json,
        verbose=verbose,
    )


@command("reason", "inventory", "dry_run", "set", "json", "verbose", iterable=("set",))
def abort(
    context: Context,
    reason: str = "",
    inventory: str = "",
    dry_run: bool = False,
    set: Any = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Give the window up, and bring the site back.

    One that has not begun is cancelled. An unfinished run is undone first.
    """
    from dojo_deploy.app import windows

    values = overrides(set or [])
    if is_dry(context, dry_run):
        _plan(inventory, "abort", values, json=json)
        return
    _run(
        lambda site, wishes: windows.abort(site, reason=reason, overrides=values, wishes=wishes),
        inventory,
        json=json,
        verbose=verbose,
    )


@command("inventory", "json")
def status(context: Context, inventory: str = "", json: bool = False) -> None:
    """Show the window, and tell what could not be told.

    Whether the page is up, too. What waits is sent now, if it can be: for cron.
    """
    from dojo_deploy.app import windows

    with ended(json=json):
        view = windows.status(inventory or None)
    _show(view, json=json)


def _run(run: Callable[..., Result], inventory: str, *, json: bool, verbose: bool) -> None:
    """Most of what a prober would see is let through the page or is the page: what users saw is not measured."""
    from dojo_deploy.app import windows

    try:
        change(run, inventory, load=False, json=json, verbose=verbose)
    finally:
        if not json:
            try:
                _show(windows.status(inventory or None), json=False)
            except DojoError as exc:  # what the command ends with is how its run ended
                print(f"window     not known: {exc.message}; invoke maintenance.status")


def _plan(inventory: str, verb: str, values: Any, *, json: bool) -> None:
    from dojo_deploy.app import windows

    with ended(json=json):
        plan = windows.plan(inventory or None, verb, overrides=values)
    print(json_.dumps(plan.as_dict(), indent=2) if json else plan.outline(commands=True))


def _show(view: View, *, json: bool) -> None:
    if json:
        print(json_.dumps(asdict(view), indent=2))
        return
    window = view.window
    if window:
        print(f"{window.state:<9}  {window.span}  {window.title}  ({window.id})")
        for one in window.course:
            print(f"           {one.at[:16]}  {one.what}" + (f": {one.reason}" if one.reason else ""))
        print(f"announced  {view.announced[:16] or 'not yet: it waits for the status page'}")
    else:
        print("no maintenance window is scheduled or open")
    shown = {True: "up: users get 503", False: "down", None: "not known: the balancer does not answer"}
    print(f"page       {shown[view.closed]}")
    for letter in view.waiting:
        print(f"waiting    {letter.to}: {letter.notice.status}: {letter.trouble}")
    for each in view.before[-3:]:
        print(f"before     {each.span}  {each.title}: {each.outcome}")
