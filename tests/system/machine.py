"""A host of its own on this machine: network, mounts, processes and name, all gone with the process that holds them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.sshd import until

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
# The kernel ends each of them when the test process goes, however it goes; with them go links and mounts.
TIED = ("setpriv", "--pdeathsig", "KILL")
UNSHARE = ("unshare", "--propagation", "private", "-n", "-m")


class Namespaces:
    """A process that holds namespaces, and what can be done in them from outside."""

    def __init__(self, words: Iterable[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self._holder = subprocess.Popen(
                [*TIED, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        own = Path("/proc/self/ns/net").readlink()
        until(lambda: self._net() not in (None, own), 10, f"namespaces: {self.said}")

    @property
    def pid(self) -> int:
        """Of the process whose namespaces these are, as seen from outside."""
        return self._holder.pid

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def is_up(self) -> bool:
        return self._holder.poll() is None

    def end(self) -> None:
        """Everything in it is killed at once: a power cut."""
        self._holder.kill()
        self._holder.wait(10)

    def net(self, line: str) -> None:
        """A shell line in its network, with the programs and files of this machine."""
        self._enter(("-n",), line)

    def dialled(self, act: Callable[[], T]) -> T:
        """What `act` returns when its sockets are made in this network: also when no link leads there."""
        found: list[T | BaseException] = []

        def enter() -> None:
            try:
                with Path(f"/proc/{self.pid}/ns/net").open() as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(act())
            except BaseException as exc:
                found.append(exc)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _enter(self, which: tuple[str, ...], line: str, pid: int = 0) -> str:
        words = ["nsenter", "-t", str(pid or self.pid), *which, "--", "/bin/sh", "-ec", line]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{line!r} ended {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def _net(self) -> Path | None:
        assert self.is_up, self.said
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/ns/net").readlink()
        return None


class TakenError(Exception):
    """Another bed has this network."""


class Rack(Namespaces):
    """The switch that all hosts hang on, and their disks, which outlive a power cut. Raises TakenError."""

    def __init__(self, log: Path, network: int, disks: dict[str, int]) -> None:
        made = "; ".join(
            f"mkdir -p /mnt/{name} && mount -t tmpfs -o size={size}m,mode=755 disk /mnt/{name}"
            for name, size in disks.items()
        )
        script = f"mount -t tmpfs disks /mnt; {made}; exec sleep infinity"
        super().__init__((*UNSHARE, "/bin/sh", "-ec", script), log)
        self.network = f"10.213.{network}"
        self._uplink = f"djbed{network}"
        pair = f"ip link add {self._uplink} type veth peer name uplink netns {self.pid}"
        if subprocess.run(pair.split(), capture_output=True).returncode:
            self.end()
            raise TakenError(self._uplink)
        self.net("ip link add br0 type bridge; ip link set br0 up; ip link set lo up; ip link set uplink master br0 up")
        subprocess.run(["ip", "addr", "add", f"{self.network}.1/24", "dev", self._uplink], check=True)
        subprocess.run(["ip", "link", "set", self._uplink, "up"], check=True)
        until(lambda: "sleep" in Path(f"/proc/{self.pid}/cmdline").read_text(), 10, f"the disks: {self.said}")

    def plug(self, name: str, pid: int) -> None:
        """A cable from the switch to the host of process `pid`, which finds it as eth0."""
        self.net(f"ip link add {name} type veth peer name eth0 netns {pid}; ip link set {name} master br0 up")

    def on_disks(self, line: str) -> None:
        """A shell line where each host's disk is a folder, whether the host runs or not."""
        self._enter(("-m",), f"cd /mnt; {line}")

    def controller(self, *, up: bool) -> None:
        """The cable between the controller and the switch."""
        self.net(f"ip link set uplink {'up' if up else 'down'}")


class Machine(Namespaces):
    """One host. `setup` is a shell script run as root in it; what that leaves running lives until `end`."""

    def __init__(self, rack: Rack, name: str, number: int, setup: str, folder: Path) -> None:
        self.name = name
        self.address = f"{rack.network}.{number}"
        self._rack = rack
        script = folder / f"{name}.sh"
        script.write_text(
            f"""set -eu
hostname {name}
mount --bind /mnt/{name} /srv
until ip link set eth0 address 02:00:00:00:00:{number} 2>/dev/null; do sleep 0.02; done
ip link set eth0 up
ip addr add {self.address}/24 dev eth0
ip link set lo up
{setup}
: >/run/started
# Ignoring SIGCHLD it reaps whoever is left to it.
exec env --ignore-signal=CHLD sleep infinity
"""
        )
        disks = ("nsenter", "-t", str(rack.pid), "-m", "--")
        own = ("-p", "-f", "-u", "--mount-proc", "--kill-child", "/bin/sh", str(script))
        super().__init__((*disks, *UNSHARE, *own), folder / f"{name}.log")
        rack.plug(name, self.pid)

    @property
    def init(self) -> int:
        """Its process 1, as seen from outside."""
        assert self._children, self.said
        return int(self._children[0])

    def has_started(self) -> bool:
        assert self.is_up, self.said
        return bool(self._children) and Path(f"/proc/{self.init}/root/run/started").exists()

    @property
    def _children(self) -> list[str]:
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()

    def run(self, line: str, *, user: str = "") -> str:
        """A shell line on the host, past its network: what somebody at its console would do."""
        text = f"runuser -u {user} -- /bin/sh -ec {shlex.quote(line)}" if user else line
        return self._enter(("-n", "-m", "-p", "-u"), text, self.init)

    def pids(self, part: str = "") -> list[int]:
        """Its processes with `part` in their command line, as seen from outside."""
        own = Path(f"/proc/{self.init}/ns/pid").readlink()
        return [pid for pid, line in _processes(own) if part in line]

    def send(self, number: signal.Signals, part: str = "") -> int:
        """A signal to all its processes with `part` in their command line, except its first; how many there were."""
        chosen = [pid for pid in self.pids(part) if pid != self.init]
        for pid in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(chosen)

    def freeze(self, part: str = "") -> None:
        assert self.send(signal.SIGSTOP, part), f"nothing of {part!r} runs on {self.name}"

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def cut(self) -> None:
        """Its cable is pulled: whatever is sent to it vanishes."""
        self._rack.net(f"ip link set {self.name} down")

    def plug_in(self) -> None:
        self._rack.net(f"ip link set {self.name} up")


def _processes(namespace: Path) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if (folder / "ns/pid").readlink() == namespace:
                    yield int(folder.name), (folder / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
