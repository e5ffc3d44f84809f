"""What every probe promises, whatever its kind."""

from __future__ import annotations

import importlib

import pytest

from dojo_deploy.interfaces import Probe
from dojo_deploy.probes import KINDS
from dojo_deploy.probes.tcp import TcpProbe
from dojo_deploy.testing.probes import ProbeContract

SETTINGS: dict[str, dict[str, object]] = {"command": {"run": "sleep 20"}, "http": {}, "release": {}, "tcp": {}}


class TestEveryProbe(ProbeContract):
    @pytest.fixture(params=sorted(KINDS))
    def probe(self, request: pytest.FixtureRequest) -> Probe:
        module, _, name = KINDS[request.param].partition(":")
        made: Probe = getattr(importlib.import_module(module), name)(**SETTINGS[request.param])
        return made

    def is_well_when_nobody_answers(self, probe: Probe) -> bool:
        return isinstance(probe, TcpProbe)
