"""One application's folders on a machine, and a PM2 of its own whose daemon is ended by its pid."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dojo_deploy.command import Command
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.processes.pm2 import Pm2
from dojo_deploy.release import Placement

SERVER = """
const http = require('http'), net = require('net'), fs = require('fs');
if (fs.existsSync(__dirname + '/BROKEN')) throw new Error('broken release');
let stopping = false;
const server = http.createServer((request, response) => {
  if (stopping) response.setHeader('Connection', 'close');
  const code = fs.readFileSync(__dirname + '/VERSION', 'utf8');
  const umask = process.umask().toString(8);
  response.end(JSON.stringify({ code, cwd: process.cwd(), pid: process.pid, umask, env: process.env }));
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening as', process.env.RELEASE));
process.on('SIGINT', () => {
  stopping = true;
  net.Server.prototype.close.call(server, () => process.exit(0));
  setTimeout(() => server.closeIdleConnections(), 300).unref();
});
"""
WORKER = "setInterval(() => {}, 1000); console.log('worker', process.env.RELEASE);"


@dataclass
class Machine:
    """One app's root on a machine, with the environment of its deploy user."""

    root: Path
    path: str
    home: Path
    kind: Pm2
    name: str = "shop.app"
    ports: Mapping[str, int] = field(default_factory=dict)
    each: Mapping[str, Process] = field(
        default_factory=lambda: {
            "web": Process(script="server.js", port=1, ready_within=5, stop_within=2),
            "jobs": Process(script="worker.js", stop_within=2),
        }
    )

    def release(self, name: str, env: Mapping[str, str], *, broken: bool = False) -> Path:
        folder = self.root / "releases" / name
        (folder / ".dojo").mkdir(parents=True, mode=0o700)
        for file, text in {"server.js": SERVER, "worker.js": WORKER, "VERSION": name}.items():
            (folder / file).write_text(text)
        if broken:
            (folder / "BROKEN").touch()
        (folder / ".dojo" / "env.json").touch(mode=0o600)
        (folder / ".dojo" / "env.json").write_text(json.dumps(dict(env)))
        return folder

    def place(self, release: str, slot: str = "blue") -> Placement:
        host = Host("web1", ("web",), "127.0.0.1", str(self.root), ports={"web": self.ports})
        app = App(self.name, environment="test", processes=Processes(kind=self.kind, each=self.each))
        return Placement(host=host, slot=slot, release=release, app=app)

    def activate(self, release: str, *, within: float = 60) -> subprocess.CompletedProcess[str]:
        place = self.place(release)
        self.write(place)
        link = Path(place.layout.current("blue"))
        link.with_name("next").symlink_to(place.layout.release(release))
        link.with_name("next").rename(link)
        return self.run(*self.kind.start(place), within=within)

    def write(self, place: Placement) -> None:
        for name, text in self.kind.files(place).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)

    def run(self, *commands: Command, within: float = 60) -> subprocess.CompletedProcess[str]:
        for command in commands:
            done = subprocess.run(
                ["/bin/sh", "-c", command.render()], env=self.environment(), cwd=self.root, text=True,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=within,
            )  # fmt: skip
            if done.returncode:
                break
        return done

    def environment(self) -> dict[str, str]:
        # The caller's own secret must not come to rest in PM2 either.
        return {
            "PATH": self.path,
            "HOME": str(self.home.parent),
            "PM2_HOME": str(self.home),
            "CI_TOKEN": "caller-secret",
        }

    def rows(self) -> list[tuple[str, int, str]]:
        done = self.run(self.kind.running(self.place("any")))
        assert done.returncode == 0, done.stderr
        rows = [line.split(" ", 2) for line in done.stdout.splitlines()]
        return [(key, int(pid), folder) for key, pid, folder in rows]

    def running(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, _, folder in self.rows():
            found.setdefault(key, []).append(Path(folder).name)
        return found

    def ask(self, slot: str = "blue") -> dict[str, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[slot], timeout=5)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def list(self) -> str:
        return subprocess.run(
            ["pm2", "jlist", "--silent"], env=self.environment(), text=True, capture_output=True, timeout=30, check=True
        ).stdout

    @property
    def daemon(self) -> int:
        return int((self.home / "pm2.pid").read_text())

    def kill_daemon(self) -> None:
        try:
            pid = self.daemon
            os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        until(lambda: not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text())

    def sweep(self) -> None:
        self.kill_daemon()
        for _, pid, _ in self.rows():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def until(holds: Callable[[], object], within: float = 10) -> None:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if holds():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not so within {within} s")


def free_ports(names: tuple[str, ...] = ("blue", "green", "proof")) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}
    for each in sockets:
        each.close()
    return ports
