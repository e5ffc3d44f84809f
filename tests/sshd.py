"""Real SSH servers on loopback, each with keys of its own: Debian's sshd where there is one, else the sandbox's."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.sandbox.sshd import Config, SshHost

SSHD = Path("/usr/sbin/sshd")
# SHLVL keeps bash from reading the user's own .bashrc, which may be slow or noisy.
OPENSSH = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/hostkey
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
MaxStartups 100
SetEnv SHLVL=5 {env}
LogLevel VERBOSE
{more}
"""


@dataclass(frozen=True)
class Server:
    """A running server; `log` is what sshd said (empty for the sandbox's)."""

    folder: Path
    port: int
    pid: int
    host: Host

    def rooted(self, path: Path) -> Host:
        """The host with another root."""
        return replace(self.host, root=str(path))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def sessions(self) -> list[int]:
        """Processes that serve a connection each."""
        return [int(pid) for pid in _children(self.pid)]

    def signal_sessions(self, number: signal.Signals) -> None:
        """To all processes of sshd that serve connections; not to the commands that they run."""
        for child in self.sessions():
            for pid in (child, *(int(other) for other in _children(child))):
                if _name(pid).startswith("sshd"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)


def until(condition: object, within: float = 10.0, what: str = "") -> None:
    """Waits for `condition()` to be true."""
    deadline = time.monotonic() + within
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.01)


@contextlib.contextmanager
def openssh(folder: Path, more: str = "", env: str = "") -> Iterator[Server]:
    """Debian's sshd; `env`: what commands find in their environment, as `NAME=value` words."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _keys(folder)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    config = folder / "sshd_config"
    config.write_text(OPENSSH.format(port=port, folder=folder, more=more, env=env))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
    with _running(process, folder, port) as server:
        yield server


@contextlib.contextmanager
def sandbox(
    folder: Path, *, shell: str = "/bin/sh", kill_on_close: bool = False, programs: str = ""
) -> Iterator[Server]:
    """The sandbox's own server, with any login shell, and a folder of programs that come before the system's."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _keys(folder)
    env = {"PATH": f"{programs}:{os.environ['PATH']}".lstrip(":"), "HOME": str(folder), "LANG": "C.UTF-8"}
    host = SshHost("h", port, getpass.getuser(), str(folder), f"{folder}/hostkey", f"{folder}/authorized_keys", env)
    (folder / "config.json").write_text(Config((host,), shell=shell, kill_on_close=kill_on_close).dumps())
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "dojo_deploy.sandbox.sshd", str(folder / "config.json")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, cwd=Path(__file__).parents[1])
    with _running(process, folder, port) as server:
        yield server


@contextlib.contextmanager
def any_server(folder: Path) -> Iterator[Server]:
    with openssh(folder) if has_openssh() else sandbox(folder) as server:
        yield server


def has_openssh() -> bool:
    return SSHD.exists() and shutil.which("sh") is not None


def make_key(path: Path) -> str:
    """A private key at `path`; returns the public line."""
    key = Ed25519PrivateKey.generate()
    path.touch(0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _keys(folder: Path) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "authorized_keys").write_text(make_key(folder / "id") + "\n")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {make_key(folder / 'hostkey')}\n")
    return port


@contextlib.contextmanager
def _running(process: subprocess.Popen[bytes], folder: Path, port: int) -> Iterator[Server]:
    ssh = Ssh(getpass.getuser(), port, str(folder / "id"), str(folder / "known_hosts"), connect_within=5, dead_after=4)
    server = Server(folder, port, process.pid, Host("h1", (), "127.0.0.1", str(folder / "root"), ssh))
    try:
        until(lambda: _listens(port), 30, f"the SSH server: {server.log}")
        yield server
    finally:
        server.signal_sessions(signal.SIGCONT)
        server.signal_sessions(signal.SIGTERM)
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
        return sock.recv(4) == b"SSH-"
    return False


def _children(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
