"""What every strategy that brings a release promises, whatever its kind."""

from __future__ import annotations

import pytest

from dojo_deploy.interfaces import Strategy
from dojo_deploy.strategies import Bake, BlueGreen, Migrate, Restart, Rollback, Rolling
from dojo_deploy.testing.strategies import StrategyContract

OURS = {
    "rolling": Rolling(),
    "rolling, all of it": Rolling(
        (2, "34%"), "20%", Migrate("npm run migrate"), bake=Bake(5, 1, 9), stage="with-batch"
    ),
    "blue-green": BlueGreen(),
    "rollback": Rollback(),
    "restart": Restart(),
}


class TestEveryStrategy(StrategyContract):
    @pytest.fixture(params=OURS)
    def strategy(self, request: pytest.FixtureRequest) -> Strategy:
        return OURS[request.param]
