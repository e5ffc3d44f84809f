"""The SSH server without a sandbox around it, as other tests use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.sandbox import keys
from dojo_deploy.sandbox.fleet import Fleet, Host
from dojo_deploy.sandbox.layout import Layout
from dojo_deploy.sandbox.ports import _free
from dojo_deploy.sandbox.sshd import Config, SshHost
from dojo_deploy.sandbox.waiting import answers, until

from .clients import client_to, run

pytestmark = pytest.mark.sandbox


@pytest.fixture
def killing(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server of two hosts that kills at close, and the part of a state file that `client_to` reads."""
    layout = Layout(tmp_path)
    hosts = [Host(name, "web", port, {}) for name, port in zip(("a", "b"), _free(2, set()), strict=True)]
    keys.make(layout, Fleet(tuple(hosts), (), {}))
    config = tmp_path / "config.json"
    values = [
        SshHost(
            host.name, host.port, "deploy", str(tmp_path), str(layout.host_key(host.name)),
            str(layout.key.with_suffix(".pub")), {"PATH": "/usr/bin:/bin"},
        )
        for host in hosts
    ]  # fmt: skip
    config.write_text(Config(tuple(values), kill_on_close=True).dumps())
    server = subprocess.Popen([sys.executable, "-m", "dojo_deploy.sandbox.sshd", str(config)])
    try:
        for host in hosts:
            until(lambda port=host.port: answers(port), 10, host.name)  # type: ignore[misc]
        yield {
            "hosts": [
                {"name": host.name, "address": "127.0.0.1", "port": host.port, "user": "deploy"} for host in hosts
            ],
            "ssh": {"key": str(layout.key), "known_hosts": str(layout.known_hosts)},
        }
    finally:
        server.terminate()
        assert server.wait(5) == 0


def test_kill_on_close(killing: dict[str, Any], tmp_path: Path) -> None:
    client = client_to(killing, "b")
    client.exec_command(
        # dash tells of its killed sleep on standard error, which is closed by then: SIGPIPE instead of the trap.
        f"exec 2>/dev/null; cd {tmp_path}; trap 'echo >hup; exit' HUP; echo >on; while :; do sleep 0.1; done"
    )
    until((tmp_path / "on").exists, 5, "the command to begin")
    client.close()
    until((tmp_path / "hup").exists, 5, "SIGHUP")


def test_the_configuration_reads_back(tmp_path: Path) -> None:
    config = Config((SshHost("a", 22, "u", "/h", "/k", "/a", {"X": "1"}),), shell="/bin/bash")
    (tmp_path / "c.json").write_text(config.dumps())
    assert Config.read(tmp_path / "c.json") == config
    assert json.loads(config.dumps())["kill_on_close"] is False


def test_both_hosts_answer(killing: dict[str, Any]) -> None:
    for name in ("a", "b"):
        client = client_to(killing, name)
        assert run(client, "exit 4").code == 4
        client.close()
