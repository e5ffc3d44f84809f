"""What every probe promises, whatever its kind."""

from __future__ import annotations

import importlib
import time

import pytest

from dojo_deploy.errors import ConfigError, HostKeyError, LostError, TransportError, UnreachableError
from dojo_deploy.interfaces import Probe
from dojo_deploy.plan import Target
from dojo_deploy.probes import KINDS

from .conftest import Machine, Server

SETTINGS: dict[str, dict[str, object]] = {"command": {"run": "sleep 20"}, "http": {}, "release": {}, "tcp": {}}


@pytest.fixture(params=sorted(KINDS))
def probe(request: pytest.FixtureRequest) -> Probe:
    module, _, name = KINDS[request.param].partition(":")
    made: Probe = getattr(importlib.import_module(module), name)(**SETTINGS[request.param])
    return made


class Broken:
    def __init__(self, error: TransportError) -> None:
        self.error = error

    def run(self, *_: object, **__: object) -> None:
        raise self.error

    dial = run


@pytest.mark.parametrize("error", [LostError, UnreachableError])
def test_a_lost_host_is_a_failed_reading(
    probe: Probe, machine: Machine, target: Target, error: type[TransportError]
) -> None:
    machine.shells["web1"] = Broken(error("gone", host="web1"))
    reading = probe.check(machine, target, within=1)
    assert not reading.ok and reading.detail.startswith("host unreachable: web1")


def test_a_changed_host_key_is_never_a_mere_reading(probe: Probe, machine: Machine, target: Target) -> None:
    machine.shells["web1"] = Broken(HostKeyError("changed", host="web1"))
    with pytest.raises(HostKeyError):
        probe.check(machine, target, within=1)


def test_a_sick_target_is_a_reading_in_bounded_time(
    probe: Probe, machine: Machine, target: Target, server: Server
) -> None:
    server.serve = server.hangs
    started = time.monotonic()
    reading = probe.check(machine, target, within=0.5)
    assert time.monotonic() - started < 3
    assert reading.ok == (type(probe).__name__ == "TcpProbe"), reading.detail
    assert reading.detail


def test_an_unknown_host_is_a_mistake_in_the_configuration(probe: Probe, machine: Machine) -> None:
    with pytest.raises(ConfigError, match="web7"):
        probe.check(machine, Target("web7", "blue", "r2"), within=1)
