"""The tasks: flags → app → exit code, nothing else. `namespace` is what a repository's `tasks.py` imports.

init         init
adoption     adopt
changes      deploy, rollback, restart, retire
unfinished   resume, abort
inventories  inventory, strategies
check        check
setup        setup
hosts        hosts.trust
reports      status, releases, history, report
db           db.lint, db.status, db.migrate; db.explain, db.slow-queries, db.connections; db.index, .reindex, .vacuum
backup       backup.create, .list, .verify, .drill, .prune, .status, .schedule; backup.restore
maintenance  maintenance.schedule, .start, .extend, .finish, .abort, .status
runbook      runbook.lint, runbook.render
sandbox      sandbox.up, sandbox.status, sandbox.down
"""

import sys
from types import ModuleType

from invoke import Collection

from dojo_deploy.tasks import (
    adoption,
    backup,
    changes,
    check,
    db,
    hosts,
    init,
    inventories,
    maintenance,
    reports,
    runbook,
    sandbox,
    setup,
    tuning,
    unfinished,
)


def keep_compiled() -> None:
    """Undoes Invoke's own wish to write no bytecode: a checkout would be compiled anew by every command.

    Who asked the interpreter itself for none (`-B`, `PYTHONDONTWRITEBYTECODE`) gets none.
    """
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


def _joined(first: ModuleType, second: ModuleType) -> Collection:
    """One collection of the tasks of two files."""
    joined = Collection.from_module(first)
    for task in Collection.from_module(second).tasks.values():
        joined.add_task(task)
    return joined


namespace = Collection(
    init.init,
    adoption.adopt,
    changes.deploy,
    changes.rollback,
    changes.restart,
    changes.retire,
    unfinished.resume,
    unfinished.abort,
    inventories.inventory,
    inventories.strategies,
    check.check,
    setup.setup,
    reports.status,
    reports.releases,
    reports.history,
    reports.report,
    hosts=Collection.from_module(hosts),
    db=_joined(db, tuning),
    backup=Collection.from_module(backup),
    maintenance=Collection.from_module(maintenance),
    runbook=Collection.from_module(runbook),
    sandbox=Collection.from_module(sandbox),
)
keep_compiled()

__all__ = ["keep_compiled", "namespace"]
