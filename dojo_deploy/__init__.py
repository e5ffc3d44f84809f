"""Deploys Node apps to your own machines: gated, undoable, resumable.

    from dojo_deploy import deploy, rollback, Inventory
    from dojo_deploy.strategies import Rolling

    result = deploy("inventories/production.yml", Rolling(batches=(1, "50%")), ref="v2")

The package, from the bottom up (imports only ever point upwards in this list):

    errors  secrets  command  inventory  release  events      values
    plan  interfaces                                          what strategies make, and every seam
    migrations/  backups/  windows/  outbox                   what is known of the database, and of maintenance
    gates  steps/  transports/ processes/ balancers/ probes/ stores/ databases/ notifiers/ builds/    verbs, adapters
    strategies/                                               values -> Plan, pure
    engine/  reporters/  prober/                              running plans, telling of them, measuring them
    config  session                                           YAML -> values, values -> connections
    runs/  app/                                               one run from wish to memory; the API, a file per noun
    tasks/  sandbox/                                          the command line, and a fleet to try it on
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dojo_deploy.app import abort, deploy, history, plan, releases, restart, resume, rollback, status
    from dojo_deploy.config import load_inventory
    from dojo_deploy.inventory import Inventory
    from dojo_deploy.runs.conduct import Result, Wishes

__version__ = "0.1.0"

_HOMES = {
    "Inventory": "dojo_deploy.inventory",
    "Result": "dojo_deploy.runs.conduct",
    "Wishes": "dojo_deploy.runs.wishes",
    "abort": "dojo_deploy.app",
    "deploy": "dojo_deploy.app",
    "history": "dojo_deploy.app",
    "load_inventory": "dojo_deploy.config",
    "plan": "dojo_deploy.app",
    "releases": "dojo_deploy.app",
    "restart": "dojo_deploy.app",
    "resume": "dojo_deploy.app",
    "rollback": "dojo_deploy.app",
    "status": "dojo_deploy.app",
}

__all__ = [
    "Inventory",
    "Result",
    "Wishes",
    "abort",
    "deploy",
    "history",
    "load_inventory",
    "plan",
    "releases",
    "restart",
    "resume",
    "rollback",
    "status",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for, so that `invoke --list` loads neither Fabric nor boto3."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dojo_deploy' has no attribute {name!r}")
