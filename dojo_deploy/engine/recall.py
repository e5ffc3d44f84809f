"""What earlier sessions of a run did, as its hosts and the store remember it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from dojo_deploy.engine import hoststate
from dojo_deploy.engine.progress import Progress, is_on_host
from dojo_deploy.errors import TransportError
from dojo_deploy.interfaces import Session
from dojo_deploy.plan import CONTROLLER, Plan
from dojo_deploy.release import Layout

SLACK = 30.0  # seconds


def recall(
    session: Session,
    plan: Plan,
    run: str,
    notes: Sequence[Mapping[str, Any]],
    executor: Executor,
    *,
    strict: bool,
) -> Progress:
    """What earlier sessions did. `strict`: a host that takes part and cannot be asked is an error.

    Else all may have run there.
    """
    hosts = dict.fromkeys(lane.host for _, _, lane, _ in plan.steps() if lane.host != CONTROLLER)
    # A job that outlived its controller may still run: it is waited for as long as its steps may take.
    patience = max((step.deadline for _, _, _, step in plan.steps()), default=0.0) + SLACK
    futures = {host: executor.submit(_record, session, host, run, patience) for host in hosts}
    tolerated = [str(note["host"]) for note in notes if note["kind"] == "tolerated"]
    ended: dict[str, int | None] = {}
    for host, future in futures.items():
        try:
            ended.update(future.result())
        except TransportError:
            if strict and host not in tolerated:
                raise
            mine = [name for name, _, lane, step in plan.steps() if lane.host == host and is_on_host(step)]
            ended.update(dict.fromkeys(mine))
    failed_in = ""
    for note in notes:
        if note["kind"] == "intent":
            ended.setdefault(str(note["step"]), None)
        elif note["kind"] == "outcome":
            ended[str(note["step"])] = 0
        elif note["kind"] == "undo":
            failed_in = failed_in or str(note.get("phase", ""))
    return Progress(ended, tolerated=tolerated, failed_in=failed_in)


def _record(session: Session, host: str, run: str, patience: float) -> Mapping[str, int | None]:
    site, shell = session.inventory, session.shell(host)
    layout = Layout(site.hosts[host].root)
    return hoststate.record(shell, layout, run, wait=patience, lease=session.lease, scope=site.scope)
