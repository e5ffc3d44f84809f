"""What the program can do, as functions: the tasks and `from dojo_deploy import …` both end here.

    changes       deploy, rollback, restart, retire, resume, abort: a run each
    adoption      a running checkout becomes the first release
    plans         what a run would do; which strategy is meant
    looks         status, history, releases, report: reads only
    preparing     bare hosts made ready, once: setup
    checks        what is wrong with hosts before anything is deployed to them
    backups       the database dumped, read again, restored on trial, thinned out
    restores      a backup in the place of the live database
    schedules     backups that are made by themselves
    migrations    its schema brought to what serves
    windows       maintenance: the site closed, worked on, opened
    tuning        the database explained, indexed, vacuumed, its sessions ended, while it serves
    pressure      its connections, against what may be opened
    repositories  the first files of one
    descriptions  what is configured, resolved; what could be
    runbooks      the runbook for people, from the plans
    sites         from a name or a path to an open session

Names are imported when they are asked for: connections begin while the engine is still being loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dojo_deploy.app.adoption import adopt, adoption
    from dojo_deploy.app.changes import abort, deploy, restart, resume, retire, rollback
    from dojo_deploy.app.checks import check
    from dojo_deploy.app.descriptions import graph, resolved, resolved_host, strategies
    from dojo_deploy.app.looks import due, history, holder, is_closed, record, releases, report, status
    from dojo_deploy.app.plans import about, choose, plan
    from dojo_deploy.app.preparing import setup
    from dojo_deploy.app.repositories import init
    from dojo_deploy.app.sites import Site, opening, read

_HOMES = {
    "Site": "sites",
    "about": "plans",
    "abort": "changes",
    "adopt": "adoption",
    "adoption": "adoption",
    "check": "checks",
    "choose": "plans",
    "deploy": "changes",
    "due": "looks",
    "graph": "descriptions",
    "history": "looks",
    "holder": "looks",
    "is_closed": "looks",
    "init": "repositories",
    "opening": "sites",
    "plan": "plans",
    "read": "sites",
    "record": "looks",
    "releases": "looks",
    "report": "looks",
    "resolved": "descriptions",
    "resolved_host": "descriptions",
    "restart": "changes",
    "resume": "changes",
    "retire": "changes",
    "rollback": "changes",
    "setup": "preparing",
    "status": "looks",
    "strategies": "descriptions",
}

__all__ = [
    "Site",
    "abort",
    "about",
    "adopt",
    "adoption",
    "check",
    "choose",
    "deploy",
    "due",
    "graph",
    "history",
    "holder",
    "init",
    "is_closed",
    "opening",
    "plan",
    "read",
    "record",
    "releases",
    "report",
    "resolved",
    "resolved_host",
    "restart",
    "resume",
    "retire",
    "rollback",
    "setup",
    "status",
    "strategies",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"dojo_deploy.app.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'dojo_deploy.app' has no attribute {name!r}")
