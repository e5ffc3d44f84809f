"""What every probe promises: subclass `ProbeContract` in a test, and give yours in a fixture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError, HostKeyError, LostError, TransportError, UnreachableError
from dojo_deploy.interfaces import Probe
from dojo_deploy.plan import Target
from dojo_deploy.testing.machines import Machine, Server


class ProbeContract:
    """To be given: a fixture `probe`. `server` is the application's own, on the ports of `machine`, and can be sick."""

    def is_well_when_nobody_answers(self, probe: Probe) -> bool:
        """True for a probe that asks for something else than an answer of the application."""
        del probe
        return False

    @pytest.fixture
    def server(self) -> Iterator[Server]:
        made = Server()
        yield made
        made.stop()

    @pytest.fixture
    def machine(self, tmp_path: Path, server: Server) -> Machine:
        return Machine(tmp_path / "srv", server.port)

    @pytest.fixture
    def target(self) -> Target:
        return Target("web1", "blue", "r2")

    @pytest.mark.parametrize("error", [LostError, UnreachableError])
    def test_a_lost_host_is_a_failed_reading(
        self, probe: Probe, machine: Machine, target: Target, error: type[TransportError]
    ) -> None:
        machine.shells["web1"] = Broken(error("gone", host="web1"))
        reading = probe.check(machine, target, within=1)
        assert not reading.ok and reading.detail.startswith("host unreachable: web1")

    def test_a_changed_host_key_is_never_a_mere_reading(self, probe: Probe, machine: Machine, target: Target) -> None:
        machine.shells["web1"] = Broken(HostKeyError("changed", host="web1"))
        with pytest.raises(HostKeyError):
            probe.check(machine, target, within=1)

    def test_a_sick_target_is_a_reading_in_bounded_time(
        self, probe: Probe, machine: Machine, target: Target, server: Server
    ) -> None:
        server.serve = server.hangs
        started = time.monotonic()
        reading = probe.check(machine, target, within=0.5)
        assert time.monotonic() - started < 3
        assert reading.ok == self.is_well_when_nobody_answers(probe), reading.detail
        assert reading.detail

    def test_an_unknown_host_is_a_mistake_in_the_configuration(self, probe: Probe, machine: Machine) -> None:
        with pytest.raises(ConfigError, match="web7"):
            probe.check(machine, Target("web7", "blue", "r2"), within=1)


class Broken:
    def __init__(self, error: TransportError) -> None:
        self.error = error

    def run(self, *_: object, **__: object) -> None:
        raise self.error

    dial = run
