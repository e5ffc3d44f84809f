"""What is wrong with a strategy is said before anything is built."""

from __future__ import annotations

import pytest

from dojo_deploy import app
from dojo_deploy.errors import ConfigError
from dojo_deploy.plan import Gate
from dojo_deploy.strategies import Rolling
from tests.sites import site


def test_a_gate_with_an_unknown_probe_is_refused_naming_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"gate\.probes: no probe 'databse'[\s\S]*probes: release, health"):
        app.choose(Rolling(gate=Gate(probes=("release", "databse"))), site(1))
