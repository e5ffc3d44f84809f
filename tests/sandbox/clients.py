"""Clients made from the state file: SSH with host keys verified, and S3."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import paramiko
from botocore.config import Config

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


def s3_client(state: State) -> Any:
    store = state["s3"]
    return boto3.client(
        "s3",
        endpoint_url=store["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=Path(store["access_key_file"]).read_text(),
        aws_secret_access_key=Path(store["secret_key_file"]).read_text(),
        config=Config(s3={"addressing_style": "path"}),
    )
