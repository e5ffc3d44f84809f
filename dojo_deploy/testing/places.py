"""What a store needs of a session, with nothing pretended: this machine is the host, its time is the clock."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.errors import LostError
from dojo_deploy.interfaces import Completed
from dojo_deploy.inventory import App, Host, Inventory


class WallClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        if wake is None:
            time.sleep(seconds)
        else:
            wake.wait(seconds)


@dataclass
class LocalShell:
    """A host that is this machine: real sh, real files. `lose` answers are dropped after the command has run."""

    host: Host
    lose: int = 0

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        done = subprocess.run(["/bin/sh", "-c", command.render()], input=stdin, capture_output=True, timeout=within)
        if self.lose:
            self.lose -= 1
            raise LostError("the link went away", host=self.host.name)
        return Completed(done.returncode, done.stdout, done.stderr)

    def stream(
        self, text: str, *, within: float, stdin: BinaryIO | None = None, on_output: Callable[[bytes], None]
    ) -> int:
        child = subprocess.Popen(
            ["/bin/sh", "-c", text],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert child.stdout
        feeder = threading.Thread(target=_feed, args=(child, stdin), daemon=True)
        feeder.start()
        killer = threading.Timer(within, child.kill)
        killer.daemon = True
        killer.start()
        try:
            while data := child.stdout.read(65536):
                if self.lose:
                    self.lose -= 1
                    child.kill()
                    child.wait()
                    raise LostError("the link went away", host=self.host.name)
                on_output(data)
            return child.wait()
        finally:
            killer.cancel()
            child.stdout.close()

    def close(self) -> None: ...


def _feed(child: subprocess.Popen[bytes], stdin: BinaryIO | None) -> None:
    if stdin is None or child.stdin is None:
        return
    try:
        while data := stdin.read(65536):
            child.stdin.write(data)
        child.stdin.close()
    except (BrokenPipeError, ValueError):
        pass


@dataclass
class Site:
    """The part of a session that stores use."""

    root: str
    app: str = "shop"
    shells: dict[str, LocalShell] = field(default_factory=dict)
    clock: WallClock = field(default_factory=WallClock)

    @property
    def inventory(self) -> Inventory:
        hosts = {"web1": Host(name="web1", groups=("web",), address="127.0.0.1", root=self.root)}
        nothing: Any = None
        return Inventory(
            app=App(name=self.app, environment="test"),
            hosts=hosts,
            groups={"web": ("web1",)},
            store=nothing,
            balancer=nothing,
        )

    def shell(self, host: str) -> LocalShell:
        return self.shells.setdefault(host, LocalShell(self.inventory.hosts[host]))
