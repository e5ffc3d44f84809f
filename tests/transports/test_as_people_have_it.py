"""A real agent and a real ~/.ssh/config: what `ssh web1` reaches is reached, and the agent stays at home."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.command import Command
from dojo_deploy.config import load_inventory
from dojo_deploy.errors import ConfigError, LoginError
from dojo_deploy.inventory import Host
from dojo_deploy.transports.shells import SshShell
from tests.sshd import Server, has_openssh, openssh, until

pytestmark = pytest.mark.skipif(not has_openssh(), reason="this machine has no sshd")
Opener = Callable[[Host], SshShell]
SOCKET = Command.shell('echo "agent ${SSH_AUTH_SOCK:-none}"')


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty one, as the environment names it."""
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        until(socket.exists, what="ssh-agent")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield socket
        process.terminate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One that would let an agent be forwarded."""
    with openssh(tmp_path / "web1", "AllowAgentForwarding yes\nAllowTcpForwarding yes") as found:
        yield found


def described(folder: Path, server: Server, hosts: list[Any], **ssh: object) -> Host:
    document = {
        "app": {"name": "shop", "root": "/srv/shop"},
        "hosts": {"web": hosts},
        "ssh": {"known_hosts": server.host.ssh.known_hosts, **ssh},
    }
    (folder / "production.yml").write_text(json.dumps(document))
    return next(iter(load_inventory(folder / "production.yml").hosts.values()))


def config_of(name: str, server: Server, *more: str) -> str:
    ssh = server.host.ssh
    lines = ("HostName 127.0.0.1", f"User {ssh.user}", f"Port {ssh.port}", f"IdentityFile {ssh.key}", *more)
    return "".join((f"Host {name}\n", *(f"    {line}\n" for line in lines)))


def add(server: Server) -> None:
    Path(server.host.ssh.key).chmod(0o600)
    subprocess.run(["ssh-add", "-q", server.host.ssh.key], check=True)


@pytest.mark.usefixtures("agent")
def test_a_key_in_the_agent_is_enough_and_the_agent_is_not_forwarded(
    server: Server, tmp_path: Path, shell_to: Opener
) -> None:
    ssh = server.host.ssh
    one = [{"name": "web1", "address": "127.0.0.1"}]
    host = described(tmp_path, server, one, agent=True, user=ssh.user, port=ssh.port)
    with pytest.raises(LoginError, match="the agent's keys"):
        shell_to(host).run(SOCKET, within=10)
    add(server)
    assert shell_to(host).run(SOCKET, within=10).text == "agent none"


@pytest.mark.usefixtures("agent")
def test_a_key_with_a_passphrase_is_the_agents(server: Server, tmp_path: Path, shell_to: Opener) -> None:
    ssh = server.host.ssh
    add(server)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", ssh.key], check=True, capture_output=True)
    one = [{"name": "web1", "address": "127.0.0.1"}]
    host = described(tmp_path, server, one, key=ssh.key, agent=True, user=ssh.user, port=ssh.port)
    assert shell_to(host).run(SOCKET, within=10).text == "agent none"
    alone = described(tmp_path, server, one, key=ssh.key, user=ssh.user, port=ssh.port)
    with pytest.raises(ConfigError, match="has a passphrase"):
        shell_to(alone).run(SOCKET, within=10)


def test_a_host_is_reached_as_its_configuration_file_says(server: Server, tmp_path: Path, shell_to: Opener) -> None:
    config = tmp_path / "config"
    config.write_text("ForwardAgent yes\n" + config_of("web*", server, "IdentitiesOnly yes"))
    host = described(tmp_path, server, ["web1"], config=str(config))

    assert (host.name, host.address, host.ssh.port) == ("web1", "127.0.0.1", server.port)
    assert (host.ssh.user, host.ssh.agent) == (server.host.ssh.user, False)
    assert shell_to(host).run(SOCKET, within=10).text == "agent none"


def test_what_the_inventory_says_itself_stands(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(config_of("web1", server))
    own = [{"name": "web1", "port": 2222, "key": "mine"}]
    host = described(tmp_path, server, own, config=str(config), user="deploy")

    assert (host.ssh.port, host.ssh.user, host.ssh.key) == (2222, "deploy", str(tmp_path / "mine"))
    assert host.address == "127.0.0.1"
    missing = described(tmp_path, server, ["web1"], config=str(tmp_path / "none"), key="mine")
    assert (missing.address, missing.ssh.user, missing.ssh.port) == ("web1", "deploy", 22)


def test_a_bastion_of_the_file_has_a_key_and_a_port_of_its_own(
    server: Server, tmp_path: Path, shell_to: Opener
) -> None:
    with openssh(tmp_path / "door", "AllowTcpForwarding yes") as door:
        known = tmp_path / "known_hosts"
        known.write_text("".join((one.folder / "known_hosts").read_text() for one in (server, door)))
        config = tmp_path / "config"
        config.write_text(config_of("web1", server, "ProxyJump door") + config_of("door", door))
        host = described(tmp_path, server, ["web1"], config=str(config), known_hosts=str(known))
        assert shell_to(host).run(SOCKET, within=10).text == "agent none"
        assert ("Accepted publickey" in door.log and "direct-tcpip" in door.log) or door.sessions()


def test_a_chain_of_bastions_is_refused_with_its_line(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(config_of("web1", server, "ProxyJump one,two"))
    with pytest.raises(ConfigError, match=r"production.yml:1.*one bastion is supported, not a chain"):
        described(tmp_path, server, ["web1"], config=str(config))


@pytest.mark.usefixtures("agent")
def test_the_environment_alone_has_no_say(server: Server, tmp_path: Path, shell_to: Opener) -> None:
    add(server)
    ssh = server.host.ssh
    host = described(tmp_path, server, [{"name": "web1", "address": "127.0.0.1"}], user=ssh.user, port=ssh.port)
    assert os.environ["SSH_AUTH_SOCK"]
    with pytest.raises(LoginError, match=r"set ssh\.key or ssh\.agent"):
        shell_to(host).run(SOCKET, within=10)
