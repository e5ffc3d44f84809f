"""A SeaweedFS of the test's own, on free ports, killed by its process id."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dojo_deploy.errors import ConfigError
from dojo_deploy.sandbox import toolchain

BUCKET, ACCESS, SECRET = "deployments", "STORETESTKEY", "storetestsecret1"
NAMES = ("s3", "s3.port.grpc", "filer", "filer.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its endpoint, once it takes writes."""
    try:
        weed = toolchain.weed()
    except ConfigError as exc:
        pytest.skip(exc.message)
    credentials = [{"accessKey": ACCESS, "secretKey": SECRET}]
    identity = {"name": "t", "credentials": credentials, "actions": ["Admin", "Read", "List", "Tagging", "Write"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(NAMES, _free(len(NAMES)), strict=True))
    flags = [f"-{name if '.' in name else name + '.port'}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [weed, "-logtostderr=true", "server", f"-dir={folder}", f"-s3.config={folder / 's3.json'}",
             "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.peers=none", "-filer", "-s3", "-volume.max=100",
             "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
             "-volume.preStopSeconds=0", *flags],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GOMEMLIMIT": "100MiB", "GOGC": "50"},
            stdout=log, stderr=log,
        )  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    try:
        _until_writable(endpoint, folder / "log")
        yield endpoint
    finally:
        server.kill()  # SIGTERM takes it 15 s
        server.wait()


def _until_writable(endpoint: str, log: Path) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2),
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        else:
            return


def _free(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
