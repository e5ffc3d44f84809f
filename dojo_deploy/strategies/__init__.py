"""How a site is changed. A strategy is a frozen dataclass with one pure method, `plan`; its fields are its file's keys.

To add one: a file here (start from rolling.py), a line in KINDS, a test that compares its outline. A strategy from
elsewhere is named `package.module:Class` in its file and needs no line here.
"""

from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.rollout import Bake
from dojo_deploy.strategies.restart import Restart
from dojo_deploy.strategies.rollback import Rollback
from dojo_deploy.strategies.rolling import Rolling

KINDS = {
    "rolling": "dojo_deploy.strategies.rolling:Rolling",
    "rollback": "dojo_deploy.strategies.rollback:Rollback",
    "restart": "dojo_deploy.strategies.restart:Restart",
}

__all__ = ["KINDS", "Bake", "Hook", "Migrate", "Restart", "Rollback", "Rolling"]
