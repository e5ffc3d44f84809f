"""The hosts' SSH behaves as OpenSSH's does without a terminal."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest

from dojo_deploy.sandbox.waiting import until

from .clients import client_to, run

pytestmark = pytest.mark.sandbox
State = dict[str, Any]
Connect = Callable[[str], paramiko.SSHClient]


def test_a_command_has_its_own_output_error_and_code(connect: Connect) -> None:
    answer = run(connect("web1"), "echo out; echo err >&2; exit 3")
    assert (answer.code, answer.out, answer.err) == (3, b"out\n", b"err\n")


def test_binary_input_comes_through_whole_and_fast(connect: Connect) -> None:
    data = os.urandom(50_000_000)
    client = connect("web1")
    began = time.monotonic()
    answer = run(client, "sha256sum", data)
    assert answer.out.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert time.monotonic() - began < 10
    small = data[:3_000_000]
    assert len(run(client, "cat >input && cat input", small).out) == len(small)


def test_a_killed_command_reports_its_signal(state: State) -> None:
    import asyncio

    import asyncssh

    async def killed() -> asyncssh.SSHCompletedProcess:
        host = state["hosts"][0]
        async with asyncssh.connect(
            host["address"], host["port"], username=host["user"], client_keys=[state["ssh"]["key"]],
            known_hosts=state["ssh"]["known_hosts"], config=None,
        ) as connection:  # fmt: skip
            return await connection.run("kill -9 $$")

    done = asyncio.run(killed())
    assert done.exit_signal and done.exit_signal[0] == "KILL"


def test_each_host_has_its_own_clean_environment(state: State, connect: Connect) -> None:
    for host in state["hosts"]:
        lines = run(connect(host["name"]), "env; pwd; ls /proc/self/fd").out.decode().splitlines()
        env = dict(line.split("=", 1) for line in lines if "=" in line)
        assert env["HOME"] == env["PWD"] == host["home"]
        assert env["PM2_HOME"].startswith(host["home"])
        assert env["USER"] == env["LOGNAME"] == host["user"]
        assert set(env) == {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "PM2_HOME", "LANG", "PWD"}
        # The fourth is ls's own view of the folder.
        assert lines[-4:] == ["0", "1", "2", "3"]


def test_the_channel_stays_while_a_child_holds_its_output(connect: Connect) -> None:
    began = time.monotonic()
    answer = run(connect("web1"), "sleep 0.6 & echo started")
    assert answer.out == b"started\n"
    assert time.monotonic() - began >= 0.6
    began = time.monotonic()
    run(connect("web1"), "sleep 5 </dev/null >/dev/null 2>&1 & echo started")
    assert time.monotonic() - began < 3


def test_a_dropped_connection_leaves_the_command_running(state: State, tmp_path: Path) -> None:
    client = client_to(state, "web2")
    mark = tmp_path / "done"
    client.exec_command(f"echo begun >{tmp_path}/begun; sleep 0.5; echo done >{mark}")
    until((tmp_path / "begun").exists, 5, "the command to begin")
    transport = client.get_transport()
    assert transport
    transport.sock.close()
    assert not mark.exists()
    until(mark.exists, 5, "the command to end by itself")


def test_what_writes_into_a_lost_channel_gets_a_broken_pipe(state: State, tmp_path: Path) -> None:
    client = client_to(state, "web2")
    client.exec_command(f"(yes; echo $? >{tmp_path}/code) 2>/dev/null")
    client.close()
    # 128 + SIGPIPE
    until(lambda: (tmp_path / "code").is_file() and (tmp_path / "code").read_text() == "141\n", 5, "SIGPIPE")


def test_sftp_starts_at_home(state: State, connect: Connect) -> None:
    with connect("web1").open_sftp() as sftp:
        data = os.urandom(2_000_000)
        sftp.mkdir("uploads")
        with sftp.open("uploads/blob", "wb") as file:
            file.set_pipelined(True)
            file.write(data)
        assert sftp.normalize(".") == state["hosts"][0]["home"]
    assert (Path(state["hosts"][0]["home"]) / "uploads" / "blob").read_bytes() == data


def test_a_tcp_connection_travels_through_the_ssh_connection(state: State, connect: Connect) -> None:
    transport = connect("web1").get_transport()
    assert transport
    port = state["apps"][0]["listen"]
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=5)
    channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert channel.recv(100).startswith(b"HTTP/1.1 ")
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 0), timeout=5)


def test_only_the_known_key_of_the_known_user_gets_in(state: State) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        client_to(state, "web1", user="root")
    host = state["hosts"][0]
    with paramiko.SSHClient() as client:
        client.load_host_keys(state["ssh"]["known_hosts"])
        with pytest.raises(paramiko.BadAuthenticationType) as refusal:
            client.connect(
                host["address"], host["port"], host["user"], password="guess", look_for_keys=False, allow_agent=False
            )
        assert refusal.value.allowed_types == ["publickey"]


def test_every_host_has_its_own_host_key(state: State) -> None:
    keys = [line.split()[2] for line in Path(state["ssh"]["known_hosts"]).read_text().splitlines()]
    assert len(set(keys)) == len(keys) == len(state["hosts"])


def test_fifty_commands_at_once(connect: Connect) -> None:
    transport = connect("web1").get_transport()
    assert transport
    channels = [transport.open_session() for _ in range(50)]
    for number, channel in enumerate(channels):
        channel.exec_command(f"exit {number}")
    assert [channel.recv_exit_status() for channel in channels] == list(range(50))
