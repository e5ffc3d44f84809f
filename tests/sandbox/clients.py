"""SSH clients that verify host keys, and one way to run a command."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import paramiko

State = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """`code` is -1 when a signal ended the command."""

    code: int
    out: bytes
    err: bytes


def client_to(state: State, name: str, user: str | None = None) -> paramiko.SSHClient:
    host = next(host for host in state["hosts"] if host["name"] == name)
    connection = socket.create_connection((host["address"], host["port"]), timeout=5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = paramiko.SSHClient()
    client.load_host_keys(state["ssh"]["known_hosts"])
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        host["address"], host["port"], user or host["user"], key_filename=state["ssh"]["key"], sock=connection,
        look_for_keys=False, allow_agent=False,
    )  # fmt: skip
    return client


def run(client: paramiko.SSHClient, command: str, data: bytes = b"", seconds: float = 60) -> Answer:
    transport = client.get_transport()
    assert transport
    channel = transport.open_session()
    channel.settimeout(seconds)
    channel.exec_command(command)
    # In pieces: paramiko's sendall copies the whole rest for every packet.
    for start in range(0, len(data), 65536):
        channel.sendall(data[start : start + 65536])
    channel.shutdown_write()
    out = b"".join(iter(lambda: channel.recv(1 << 20), b""))
    err = b"".join(iter(lambda: channel.recv_stderr(1 << 20), b""))
    return Answer(channel.recv_exit_status(), out, err)
