"""The tasks: flags → app → exit code, nothing else. `namespace` is what a repository's `tasks.py` imports.

changes      deploy, rollback, restart, retire, resume, abort
reports      status, releases, history, report
db           db.lint, db.status, db.migrate
backup       backup.create, backup.list, backup.verify, backup.drill, backup.prune, backup.status
maintenance  maintenance.schedule, .start, .extend, .finish, .abort, .status
sandbox      sandbox.up, sandbox.status, sandbox.down
"""

from invoke import Collection

from dojo_deploy.tasks import backup, changes, db, maintenance, reports, sandbox

namespace = Collection(
    changes.deploy,
    changes.rollback,
    changes.restart,
    changes.retire,
    changes.resume,
    changes.abort,
    reports.status,
    reports.releases,
    reports.history,
    reports.report,
    db=Collection.from_module(db),
    backup=Collection.from_module(backup),
    maintenance=Collection.from_module(maintenance),
    sandbox=Collection.from_module(sandbox),
)

__all__ = ["namespace"]
