"""A host that is this machine, with a real application server on it that can be told to be sick."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.clock import SystemClock
from dojo_deploy.interfaces import Clock, Store
from dojo_deploy.inventory import App, Host, Inventory, Process, Processes
from dojo_deploy.processes.command import CommandLines
from dojo_deploy.transports.local import LocalShell

Serve = Callable[[socket.socket], None]


class Server:
    """Listens on a port; `serve` is what it does with each connection."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.serve: Serve = self.says(b'{"release": "r2", "db": {"ok": true}}')
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def says(self, body: bytes, status: str = "200 OK", *headers: str) -> Serve:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode()
        return self.sends(head + body)

    def sends(self, answer: bytes, *, each: float = 0.0, by: int = 65536) -> Serve:
        def serve(connection: socket.socket) -> None:
            self.requests.append(connection.recv(65536))
            for start in range(0, len(answer), by):
                connection.sendall(answer[start : start + by])
                if self.stopped.wait(each):
                    return

        return serve

    def hangs(self, connection: socket.socket) -> None:
        connection.recv(65536)
        self.stopped.wait(30)

    def stop(self) -> None:
        self.stopped.set()
        # Closing alone leaves it listening for as long as the other thread is in accept().
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.serve(connection)
            except OSError:
                return


class Machine:
    """One host: a folder of this machine with releases r1 and r2, its slot blue leading to r2."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        for release in ("r1", "r2"):
            (root / "releases" / release / ".dojo").mkdir(parents=True)
        (root / "slots" / "blue").mkdir(parents=True)
        (root / "slots" / "blue" / "current").symlink_to(root / "releases" / "r2")
        self.host = Host("web1", ("web",), "127.0.0.1", str(root), ports={"web": {"blue": port, "proof": port}})
        self.app = App(name="shop", environment="test", root=str(root), processes=self.processes())
        self.inventory = Inventory(
            app=self.app,
            hosts={"web1": self.host},
            groups={"web": ("web1",)},
            store=SimpleNamespace(),
            balancer=NoBalancer(),
        )
        self.shells: dict[str, Any] = {"web1": LocalShell(self.host)}
        self.clock: Clock = SystemClock()
        self.cancelled = threading.Event()

    def processes(self, **web: Any) -> Processes:
        settings = {"port": 1, "start": "true", "running": 'cat "$CURRENT"/../pids 2>/dev/null || true', **web}
        return Processes(CommandLines(), {"web": Process(**settings)})

    @property
    def lease(self) -> tuple[str, int]:
        return "", 0

    @property
    def store(self) -> Store:
        raise LookupError("a probe asks the host, and no store")

    def shell(self, host: str) -> Any:
        return self.shells[host]

    def guard(self, name: str) -> threading.Lock:  # noqa: ARG002
        return threading.Lock()

    def say(self, line: str) -> None:
        pass
