"""What needs no process: fleets, ports, lines of /proc."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.sandbox import files, ports, proc, toolchain
from dojo_deploy.sandbox.fleet import design


def test_a_fleet_grows_and_never_renumbers() -> None:
    numbers = itertools.count(1)
    first = design(1, ["a"], None, lambda count: [next(numbers) for _ in range(count)])
    second = design(3, ["b"], first, lambda count: [next(numbers) for _ in range(count)])
    assert [host.name for host in second.hosts] == ["web1", "web2", "web3", "lb1"]
    assert second.hosts[0].slots["a"] == first.hosts[0].slots["a"]
    assert second.hosts[0].port == first.hosts[0].port
    assert second.apps[0] == first.apps[0]
    assert [app.database for app in second.apps] == ["dojo", "dojo_b"]
    assert design(1, ["a"], second, lambda count: [0] * count) == second


def test_a_fleet_has_hosts_and_apps() -> None:
    for hosts, apps in ((0, ["a"]), (1, [])):
        with pytest.raises(ConfigError):
            design(hosts, apps, None, lambda count: [0] * count)


def test_ports_are_claimed_until_given_back(tmp_path: Path) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    taken = [ports.take(tmp_path, home, 2000) for home in homes]
    assert len({port for each in taken for port in each}) == 4000
    ports.give_back(tmp_path, homes[0])
    homes[1].rmdir()
    # Both claims are gone now: one given back, one with its folder.
    assert len(ports.take(tmp_path, tmp_path, 9000)) == 9000


def test_a_port_in_use_is_not_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", ports.take(tmp_path, tmp_path, 1)[0])) as server:
        ports.give_back(tmp_path, tmp_path)
        assert server.getsockname()[1] not in ports.take(tmp_path, tmp_path, 12_000)


def test_a_process_name_cannot_forge_its_own_line() -> None:
    tail = " ".join(["1"] * 18)
    process = proc.parse(f"7 (a) Z 1 (b) S {tail} 4242 0", "boot")
    assert process == proc.Process(7, 4242, "boot")
    assert proc.parse(f"7 (a) Z {tail} 4242 0", "boot") is None
    assert proc.parse("", "boot") is None


def test_a_signal_meets_its_process_or_nobody() -> None:
    child = subprocess.Popen(["sleep", "60"])
    process = proc.find(child.pid)
    assert process
    proc.Process(process.pid, process.started + 1, process.boot).send(signal.SIGKILL)
    proc.Process(process.pid, process.started, "another boot").send(signal.SIGKILL)
    assert process.alive
    process.send(signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL
    assert not process.alive


def test_a_file_is_written_once_and_with_its_mode(tmp_path: Path) -> None:
    assert files.write_secret(tmp_path / "secret", "x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert not files.write_secret(tmp_path / "secret", "x")
    assert files.write(tmp_path / "secret", "x", 0o640)
    assert list(tmp_path.iterdir()) == [tmp_path / "secret"]


def test_another_platform_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match="Linux x86_64 only"):
        toolchain.require()
