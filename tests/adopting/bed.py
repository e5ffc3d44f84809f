"""Two hosts that a runbook deployed to, by git pull and PM2, behind an nginx that somebody configured: real sshds."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dojo_deploy.sandbox import ports as ports_
from dojo_deploy.sandbox import toolchain
from dojo_deploy.sandbox.layout import Layout, cache
from dojo_deploy.sandbox.waiting import until
from tests.adopting import shop
from tests.e2e.fleet import Fleet
from tests.sshd import Server, openssh

WEB = ("web1", "web2")
SCOPE = "corner-shop-production"
NGINX = """\
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    keepalive_min_timeout 3s;
    {http}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            proxy_pass http://{to};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Bed:
    """`ports`: host -> those of its slots."""

    folder: Path
    tools: Path
    servers: dict[str, Server]
    ports: dict[str, dict[str, int]]
    port: int

    @property
    def fleet(self) -> Fleet:
        return Fleet(self.folder / "inventories" / "production.yml")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def checkout(self, name: str) -> Path:
        return self.folder / name / "home" / "shop"

    def run(self, name: str, line: str) -> str:
        """As a person would, in a session of that host."""
        server = self.servers[name]
        known = f"UserKnownHostsFile={server.folder}/known_hosts"
        words = ["ssh", "-i", str(server.folder / "id"), "-p", str(server.port), "-o", known, "127.0.0.1", line]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{name}: {line}: {done.stdout}{done.stderr}"
        return done.stdout

    def about(self, requests: int = 20) -> set[tuple[str, str, str]]:
        """Version, key and mode, as answered through nginx over fresh connections."""
        found = Counter(_about(self.port) for _ in range(requests))
        return set(found)

    def straight(self) -> dict[str, tuple[str, str, str]]:
        return {name: _about(self.ports[name]["blue"]) for name in WEB}

    def names(self) -> dict[str, list[str]]:
        """What PM2 runs on each host."""
        lines = {name: self.run(name, "pm2 jlist --silent") for name in WEB}
        return {
            name: sorted(one["name"] for one in json.loads(text) if one["pm2_env"]["status"] == "online")
            for name, text in lines.items()
        }

    def variant(self, change: Callable[[dict[str, Any]], None]) -> Fleet:
        """The same fleet, described otherwise."""
        document = json.loads(self.fleet.inventory.read_text())
        change(document)
        document["app"]["environment"] = "production"
        path = self.fleet.inventory.with_name("variant.yml")
        path.write_text(json.dumps(document, indent=1))
        return Fleet(path)


@contextlib.contextmanager
def made() -> Iterator[Bed]:
    # PM2's sockets lie in its home, and their paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="adopt-", dir="/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(ports_.give_back, cache(), folder)
        layout = Layout(folder / "tools")
        layout.create()
        toolchain.install(layout)
        shop.make_repository(folder / "repository", layout.bin / "npm")
        servers = {}
        for name in (*WEB, "lb1"):
            home = folder / name / "home"
            home.mkdir(parents=True)
            env = f"HOME={home} PATH={layout.bin}:/usr/local/bin:/usr/bin:/bin"
            servers[name] = stack.enter_context(openssh(folder / name, env=env))
        free = iter(ports_.take(cache(), folder, 7))
        ports = {name: {slot: next(free) for slot in ("blue", "green", "proof")} for name in WEB}
        bed = Bed(folder, layout.bin, servers, ports, next(free))
        _write_inventory(bed)
        stack.enter_context(_by_hand(bed))
        stack.enter_context(_nginx(bed))
        yield bed


@contextlib.contextmanager
def _by_hand(bed: Bed) -> Iterator[None]:
    """What the runbook says: git pull, npm ci, pm2 start."""
    try:
        for name in WEB:
            place = bed.checkout(name)
            bed.run(name, f"git clone -q -b v1 {bed.folder}/repository {place} 2>/dev/null")
            shutil.copytree(bed.folder / "repository/node_modules", place / "node_modules", symlinks=True)
            (place / "logs").mkdir()
            (place / ".env").write_text(f"# by hand\nPORT={bed.ports[name]['blue']}\nSHOP_KEY='old key'\n")
            bed.run(name, f"cd {place} && pm2 start ecosystem.config.js --silent && pm2 save --silent")
        for name in WEB:
            until(lambda port=bed.ports[name]["blue"]: _answers(port), 30, f"the shop on {name}")
        yield
    finally:
        for name in WEB:
            with contextlib.suppress(AssertionError):
                bed.run(name, "pm2 kill --silent")


@contextlib.contextmanager
def _nginx(bed: Bed) -> Iterator[None]:
    """It runs as somebody wrote it; what is on the disk by now waits for the first change of ours."""
    folder = bed.folder / "lb1"
    conf, binary = folder / "nginx.conf", toolchain.nginx()
    servers = "".join(f"server 127.0.0.1:{bed.ports[name]['blue']};" for name in WEB)
    values = {"folder": folder, "port": bed.port, "user": "user root;\n"}
    conf.write_text(NGINX.format(**values, http=f"upstream shop {{ {servers} keepalive 8; }}", server="", to="shop"))
    process = subprocess.Popen([binary, "-c", conf, "-g", "daemon off;"], stdin=subprocess.DEVNULL)
    try:
        until(partial(_answers, bed.port), 20, "nginx")
        (folder / "dojo").mkdir()
        conf.write_text(
            NGINX.format(
                **values,
                http=f"include {folder}/dojo/*.conf;",
                server=f"include {folder}/dojo/{SCOPE}/server/*.conf;",
                to=f"$dojo_{SCOPE.replace('-', '_')}",
            )
        )
        yield
    finally:
        process.terminate()
        process.wait(20)


def _write_inventory(bed: Bed) -> None:
    (bed.folder / "inventories").mkdir()
    (bed.folder / "strategies").mkdir()
    (bed.folder / "strategies/rolling.yml").write_text("strategy: rolling\n")
    (bed.folder / "new.env").write_text("SHOP_KEY=new key\n")
    known = "".join((server.folder / "known_hosts").read_text() for server in bed.servers.values())
    (bed.folder / "known_hosts").write_text(known)
    document: dict[str, Any] = {
        "app": {
            "name": "corner-shop",
            "source": {"repository": str(bed.folder / "repository")},
            "build": {
                "run": ["npm ci --omit=dev"],
                "env": {"PATH": f"{bed.tools}:/usr/bin:/bin", "npm_config_cache": str(cache() / "npm")},
            },
            "shared": ["logs/"],
            "env_file": {"file": str(bed.folder / "new.env")},
            "env": {"SHOP_MODE": "deployed"},
            "processes": {
                "kind": "pm2",
                "web": {"script": "src/server.js", "ports": bed.ports["web1"]},
                "worker": {"script": "src/worker.js"},
            },
            "health": "/healthz",
            "release_field": "",
        },
        "hosts": {
            "web": [{**_host(bed, name), "ports": {"web": bed.ports[name]}} for name in WEB],
            "lb": [_host(bed, "lb1")],
        },
        "balancer": {
            "kind": "nginx",
            "hosts": "lb",
            "include": str(bed.folder / "lb1/dojo"),
            "nginx": f"{toolchain.nginx()} -c {bed.folder}/lb1/nginx.conf",
            "url": bed.url,
        },
        "url": bed.url,
        "store": {"kind": "directory", "path": str(bed.folder / "store")},
        "ssh": {"user": next(iter(bed.servers.values())).host.ssh.user, "known_hosts": str(bed.folder / "known_hosts")},
    }
    (bed.folder / "inventories/production.yml").write_text(json.dumps(document, indent=1))


def _host(bed: Bed, name: str) -> dict[str, Any]:
    server = bed.servers[name]
    return {
        "name": name,
        "address": "127.0.0.1",
        "port": server.port,
        "key": str(server.folder / "id"),
        "root": str(server.folder / "srv"),
    }


def _about(port: int) -> tuple[str, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/about")
        said = json.loads(connection.getresponse().read())
        return said["version"], said.get("key", ""), said.get("mode", "")
    finally:
        connection.close()


def _answers(port: int) -> bool:
    try:
        return bool(_about(port))
    except (OSError, ValueError):
        return False
