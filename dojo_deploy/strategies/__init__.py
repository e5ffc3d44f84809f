"""How a site is changed. A strategy is a frozen dataclass with one pure method, `plan`; its fields are its file's keys.

To add one: a file here (start from rolling.py), a line in KINDS, a test that compares its outline. A strategy from
elsewhere is named `package.module:Class` in its file and needs no line here.
"""

from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.rollout import Bake
from dojo_deploy.steps.smoke import Smoke
from dojo_deploy.steps.work import Check, Work
from dojo_deploy.steps.workers import Workers
from dojo_deploy.strategies.adopt import Adopt
from dojo_deploy.strategies.blue_green import BlueGreen
from dojo_deploy.strategies.maintenance import Maintenance
from dojo_deploy.strategies.reopen import Reopen
from dojo_deploy.strategies.restart import Restart
from dojo_deploy.strategies.restore import Restore
from dojo_deploy.strategies.retire import Retire
from dojo_deploy.strategies.rollback import Rollback
from dojo_deploy.strategies.rolling import Rolling

KINDS = {
    "rolling": "dojo_deploy.strategies.rolling:Rolling",
    "blue-green": "dojo_deploy.strategies.blue_green:BlueGreen",
    "rollback": "dojo_deploy.strategies.rollback:Rollback",
    "adopt": "dojo_deploy.strategies.adopt:Adopt",
    "retire": "dojo_deploy.strategies.retire:Retire",
    "restart": "dojo_deploy.strategies.restart:Restart",
    "maintenance": "dojo_deploy.strategies.maintenance:Maintenance",
    "reopen": "dojo_deploy.strategies.reopen:Reopen",
    "restore": "dojo_deploy.strategies.restore:Restore",
    "migrate": "dojo_deploy.strategies.migrating:Migrating",
    "index": "dojo_deploy.strategies.tuning:Indexing",
    "reindex": "dojo_deploy.strategies.tuning:Reindexing",
    "vacuum": "dojo_deploy.strategies.tuning:Vacuuming",
    "terminate": "dojo_deploy.strategies.tuning:Ending",
}

__all__ = [
    "KINDS", "Adopt", "Bake", "BlueGreen", "Check", "Hook", "Maintenance", "Migrate", "Reopen", "Restart", "Restore",
    "Retire", "Rollback", "Rolling", "Smoke", "Work", "Workers",
]  # fmt: skip
