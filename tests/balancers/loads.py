"""Colours that answer faster than they are asked, and wrk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dojo_deploy.interfaces import Backend

from .local import BINARY, await_ports, free_port

CONF = """\
{user}worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off; keepalive_requests 10000000; keepalive_timeout 600s;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{servers}}}
"""


class Colours:
    """Two backends of each colour; `X-Release` says which colour answered."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        ports = [free_port() for _ in range(4)]
        names = [(f"web{1 + number % 2}", "blue" if number < 2 else "green") for number in range(4)]
        servers = "".join(
            f"    server {{ listen 127.0.0.1:{port}; add_header X-Release {slot};"
            f" location / {{ return 200 {host}; }} }}\n"
            for port, (host, slot) in zip(ports, names, strict=True)
        )
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(CONF.format(user=user, folder=folder, servers=servers))
        backends = [Backend(host, slot, f"127.0.0.1:{port}") for port, (host, slot) in zip(ports, names, strict=True)]
        self.blue, self.green = tuple(backends[:2]), tuple(backends[2:])
        words = [str(BINARY), "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-e", f"{folder}/error.log"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await_ports(ports)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


@dataclass(frozen=True)
class Wrk:
    requests: int
    failed: int
    said: str


class RunningWrk:
    """wrk on one thread, until its result is asked for."""

    def __init__(
        self, url: str, *, connections: int, keep: bool, lasting: int = 60, script: Path | None = None
    ) -> None:
        program = shutil.which("wrk")
        if not program:
            pytest.skip("no wrk here: apt-get install wrk")
        words = [
            program,
            "-t1",
            f"-c{connections}",
            f"-d{lasting}s",
            "--timeout",
            "5s",
            *(["-s", str(script)] if script else []),
            *([] if keep else ["-H", "Connection: close"]),
            url,
        ]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self) -> Wrk:
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=60)
        requests = re.search(r"(\d+) requests in", said)
        assert requests, said
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        failed = sum(map(int, errors.groups())) if errors else 0
        return Wrk(int(requests[1]), failed + (int(refused[1]) if refused else 0), said)
