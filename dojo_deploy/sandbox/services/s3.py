"""S3 by SeaweedFS: the one on PyPI that honours conditional writes, which the deployment lock is built on."""

from __future__ import annotations

import json
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dojo_deploy.errors import RefusedError

from .. import toolchain
from ..daemons import Command
from ..files import write_secret
from ..fleet import Fleet
from ..layout import Layout
from ..proc import Process
from ..waiting import Watched, answers

BUCKET = "dojo"
# Seconds for one try while it starts: a write that hangs then is better tried again.
TIMEOUT = 1.5
PROBE = "conditional-write-probe"
# Sockets that it makes whatever TMPDIR says, and that a kill leaves behind: their names' middles, and the ports' names.
SOCKETS = (
    ("s3", "s3"),
    ("filer", "filer"),
    *((f"{name}-grpc", f"{name}_grpc") for name in ("s3", "filer", "master", "volume")),
)
PORTS = {
    "-s3.port": "s3", "-s3.port.grpc": "s3_grpc", "-filer.port": "filer", "-filer.port.grpc": "filer_grpc",
    "-master.port": "master", "-master.port.grpc": "master_grpc", "-volume.port": "volume",
    "-volume.port.grpc": "volume_grpc",
}  # fmt: skip
# Without peers=none a restart on old data takes 17 s instead of 2; without resumeState=false one in ten does, because
# a master that finds itself leader already holds back writes while it "warms up".
# Each bucket takes several volumes: 8 ran out.
FLAGS = (
    "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.peers=none", "-filer", "-s3", "-volume.max=100",
    "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-master.resumeState=false", "-s3.port.iceberg=0",
    "-s3.port.lance=0", "-volume.preStopSeconds=0",
)  # fmt: skip


@dataclass(frozen=True)
class S3:
    layout: Layout
    fleet: Fleet
    name: str = "s3"
    # SIGTERM takes 15 s or never ends it; what was written survives a kill.
    stop_signal: signal.Signals = signal.SIGKILL
    grace: float = 1.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.fleet.ports['s3']}"

    def configure(self) -> bool:
        self.layout.data("s3").mkdir(exist_ok=True)
        for name in ("access-key", "secret-key"):
            if not self._secret(name).is_file():
                write_secret(self._secret(name), secrets.token_hex(16))
        keys = {
            "accessKey": self._secret("access-key").read_text(),
            "secretKey": self._secret("secret-key").read_text(),
        }
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        identity = {"name": "dojo", "credentials": [keys], "actions": actions}
        write_secret(self._config, json.dumps({"identities": [identity]}))
        return False

    def command(self) -> Command:
        # Under a limit of 100 or 200 MiB Go's runtime is at work without end: idle, that took 6 to 8 % of a core. Under
        # 300 MiB it takes 0.4 %, for 40 MiB more.
        ports = (f"{flag}={self.fleet.ports[name]}" for flag, name in PORTS.items())
        return Command(
            (str(toolchain.weed()), "-logtostderr=true", "server", f"-dir={self.layout.data('s3')}",
             f"-s3.config={self._config}", *FLAGS, *ports),
            {"PATH": "/usr/bin:/bin", "HOME": str(self.layout.data("s3")), "GOMEMLIMIT": "300MiB", "GOGC": "50"},
        )  # fmt: skip

    def adopt(self) -> Process | None:
        return None

    def settle(self, watched: Watched) -> None:
        watched.until(lambda: answers(self.fleet.ports["s3"]), 40, "SeaweedFS to listen")
        client = self._client()
        watched.until(lambda: _writes(client), 40, "SeaweedFS to take a write", every=0.1)
        watched.until(lambda: _refuses(client), 40, "SeaweedFS to refuse a conditional write", every=0.1)

    def tidy(self) -> None:
        """Remove what a kill leaves behind outside of the sandbox's folder."""
        for name, port in SOCKETS:
            Path(f"/tmp/seaweedfs-{name}-{self.fleet.ports[port]}.sock").unlink(missing_ok=True)

    @property
    def _config(self) -> Path:
        return self.layout.secrets / "s3.json"

    def _secret(self, name: str) -> Path:
        return self.layout.secrets / f"s3-{name}"

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://{self.address}",
            region_name="us-east-1",
            aws_access_key_id=self._secret("access-key").read_text(),
            aws_secret_access_key=self._secret("secret-key").read_text(),
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=2,
                read_timeout=TIMEOUT,
                request_checksum_calculation="when_required", response_checksum_validation="when_required",
            ),
        )  # fmt: skip


def _writes(client: Any) -> bool:
    # Listening, it still answers 500 until a volume server has joined.
    try:
        client.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            return False
    except BotoCoreError:
        return False
    try:
        client.put_object(Bucket=BUCKET, Key=PROBE, Body=str(time.time()).encode())
    except (ClientError, BotoCoreError):
        return False
    return True


def _refuses(client: Any) -> bool:
    """False while it cannot tell. Raises RefusedError when it overwrote what it had to leave alone."""
    try:
        client.put_object(Bucket=BUCKET, Key=PROBE, Body=b"twice", IfNoneMatch="*")
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    except BotoCoreError:
        return False
    raise RefusedError("SeaweedFS ignores If-None-Match: no lock can be built on it", hint=toolchain.INSTALL)
