"""The services are usable from the state file alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest
from botocore.exceptions import ClientError

from .clients import run, s3_client

pytestmark = pytest.mark.sandbox
State = dict[str, Any]
Connect = Callable[[str], paramiko.SSHClient]


def test_postgres_takes_the_password_and_no_other(state: State) -> None:
    server = state["postgres"]
    right = Path(server["password_file"]).read_text()
    assert psql(server, right, "SELECT current_user || '@' || current_database()").stdout.strip() == "dojo@dojo"
    refused = psql(server, "wrong", "SELECT 1")
    assert refused.returncode == 2
    assert "password authentication failed" in refused.stderr


def test_postgres_tools_are_on_every_hosts_path(connect: Connect) -> None:
    assert b"18." in run(connect("web1"), "pg_dump --version").out


def test_redis_answers_over_its_url(state: State) -> None:
    redis = pytest.importorskip("redis")
    client = redis.Redis.from_url(state["redis"]["url"])
    assert client.set("key", "value")
    assert client.get("key") == b"value"
    assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_s3_honours_conditional_writes(state: State) -> None:
    store = state["s3"]
    client = s3_client(state)
    client.put_object(Bucket=store["bucket"], Key="lock", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket=store["bucket"], Key="lock", Body=b"2", IfNoneMatch="*")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket=store["bucket"], Key="lock")["Body"].read() == b"1"


def test_secrets_are_nobodys_but_the_owners(state: State) -> None:
    home = Path(state["home"])
    secrets = [
        Path(state["postgres"]["password_file"]),
        Path(state["s3"]["secret_key_file"]),
        Path(state["ssh"]["key"]),
    ]
    for path in [*secrets, home / "state.json"]:
        assert path.stat().st_mode & 0o077 == 0, path
    text = (home / "state.json").read_text()
    lines = [Path(entry, "cmdline") for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    everything = text + "".join(line.read_text(errors="replace") for line in lines if line.exists())
    for path in secrets:
        assert path.read_text() not in everything


def psql(server: State, password: str, sql: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [f"{server['bin']}/psql", "-X", "-At", "-h", server["host"], "-p", str(server["port"]), "-U", server["user"],
         "-d", server["database"], "-c", sql],
        env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
