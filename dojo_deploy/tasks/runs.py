"""How a task carries out a run: connected early, told as it goes, ended with its exit code."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from invoke import Exit

from dojo_deploy.tasks.apart import LetGo
from dojo_deploy.tasks.flags import ended
from dojo_deploy.tasks.outputs import Outputs

if TYPE_CHECKING:
    from dojo_deploy.events import Event
    from dojo_deploy.interfaces import Subscriber
    from dojo_deploy.reporters import Reporter
    from dojo_deploy.runs.conduct import Result
    from dojo_deploy.runs.wishes import Wishes
    from dojo_deploy.session import OpenSession

PROBE_RATE = 400.0  # requests per second

Run = Callable[["OpenSession", "Wishes"], "Result"]


def change(
    run: Run,
    inventory: str,
    *,
    load: bool | None,
    report: str = "",
    junit: str = "",
    summary: str = "",
    json: bool,
    verbose: bool,
    meets: str | None = "",
    bring_up: bool = True,
    let_go: LetGo | None = None,
) -> None:
    """One run, told. `meets`: the hosts, as --limit names them, that it will ask at once; None for one that builds.

    `bring_up`: start the embedded fleet, if it is that one. `let_go`: called once users have what they wait for.
    """
    from dojo_deploy.app import opening

    with (
        ended(json=json),
        Outputs(junit=junit, summary=summary) as outputs,
        opening(inventory, bring_up=bring_up) as session,
    ):
        site = session.inventory
        outputs.begin(session)
        if meets is not None:
            # Connections are made while the rest of the program is loaded.
            session.warm(host.name for host in site.select(meets))
        result = _told(run, session, outputs, load=load, json=json, verbose=verbose, let_go=let_go)
        if not result.run or result.verdict == "nothing to do":
            said = result.reason or "nothing is open: no run to resume or to abort"
            outputs.end(result.verdict, result.exit_code, said)
            print(json_.dumps({"verdict": result.verdict, "reason": said, "exit_code": 0}) if json else said)
        elif report:
            _report(session, result.run, report)
    if result.exit_code:
        raise Exit(code=result.exit_code)


def _told(
    run: Run,
    session: OpenSession,
    outputs: Outputs,
    *,
    load: bool | None,
    json: bool,
    verbose: bool,
    let_go: LetGo | None,
) -> Result:
    from dojo_deploy.configuration.finding import name_to_type
    from dojo_deploy.reporters import choose
    from dojo_deploy.runs.wishes import Wishes

    site = session.inventory
    reporter = choose(sys.stdout, json=json, verbose=verbose, redact=session.redact)
    rate = site.probe if load is None else (site.probe or PROBE_RATE) * load
    name = name_to_type(site.path)
    leaving = (_leaving(reporter, outputs, let_go, json=json, inventory=name),) if let_go else ()

    def restore() -> None:
        try:
            reporter.close()
        finally:
            outputs.cut()

    try:
        return run(session, Wishes(subscribers=(reporter, outputs, *leaving), probe_rate=rate, restore=restore))
    finally:
        reporter.close()


def _leaving(reporter: Reporter, outputs: Outputs, let_go: LetGo, *, json: bool, inventory: str = "") -> Subscriber:
    """Ends the command when users are served: what is left goes on in this process, and says nothing more."""
    from dojo_deploy.events import UsersServed
    from dojo_deploy.reporters.text import typed

    def leave(event: Event) -> None:
        if isinstance(event, UsersServed):
            reporter.close()
            if json:
                print(json_.dumps({"verdict": "served", "left": event.left, "exit_code": 0}))
            else:
                status, history = (typed(task, inventory) for task in ("status", "history"))
                print(f"this goes on by itself: `{status}` tells whether it is on, `{history}` how it ended")
            outputs.end("served", 0, f"still to come: {', '.join(event.left)}")
            outputs.close()
            let_go()

    return leave


def _report(session: OpenSession, run: str, path: str) -> None:
    """What goes wrong here changes nothing of how the run ended."""
    from pathlib import Path

    from dojo_deploy import app
    from dojo_deploy.errors import DojoError
    from dojo_deploy.runs.reports import write

    try:
        write(app.report(session, run=run), Path(path))
    except DojoError as exc:
        print(f"no report: {exc}", file=sys.stderr)
