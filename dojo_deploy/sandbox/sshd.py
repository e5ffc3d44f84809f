"""Many hosts over real SSH in one process: `python -m dojo_deploy.sandbox.sshd CONFIG.json`.

The file is what `Config` is made of, as JSON. SIGHUP reads it again and opens the hosts that are new; SIGTERM ends the
server but, like sshd, none of the commands that it started.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncssh

from . import sshd_exec

LOGIN_SECONDS = 20


@dataclass(frozen=True)
class SshHost:
    """One host. `env` is the whole environment of its commands; `home` is where they and relative SFTP paths start."""

    name: str
    port: int
    user: str
    home: str
    host_key: str
    authorized_keys: str
    env: Mapping[str, str]
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Config:
    """`kill_on_close`: end a command when its channel closes. OpenSSH does that only for commands with a terminal."""

    hosts: tuple[SshHost, ...]
    shell: str = "/bin/sh"
    kill_on_close: bool = False

    @classmethod
    def read(cls, path: Path) -> Config:
        values = json.loads(path.read_text())
        hosts = tuple(SshHost(**host) for host in values.pop("hosts"))
        return cls(hosts, **values)

    def dumps(self) -> str:
        return json.dumps(asdict(self), indent=2)


class SshServer:
    """Listens for the hosts of a Config, in the running event loop."""

    def __init__(self) -> None:
        self._open: dict[str, asyncssh.SSHAcceptor] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def listen(self, config: Config) -> None:
        """Open the hosts that are not open yet. Raises OSError when a port is taken."""
        for host in config.hosts:
            if host.name not in self._open:
                self._open[host.name] = await self._listen(host, config)

    def close(self) -> None:
        """Take no more connections; those that are open, and running commands, go on."""
        for acceptor in self._open.values():
            acceptor.close()
        self._open.clear()

    async def _listen(self, host: SshHost, config: Config) -> asyncssh.SSHAcceptor:
        def run(channel: asyncssh.SSHServerProcess[bytes]) -> None:
            # A task of ours, not of the connection: asyncssh cancels its own when the connection is lost.
            task = asyncio.create_task(
                sshd_exec.run(channel, config.shell, host.home, host.env, kill_on_close=config.kill_on_close)
            )
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        return await asyncssh.listen(
            host.address,
            host.port,
            reuse_address=True,
            backlog=512,
            server_factory=lambda: _Login(host),
            server_host_keys=[host.host_key],
            process_factory=run,
            sftp_factory=lambda channel: _Files(channel, host.home),
            encoding=None,
            allow_scp=False,
            allow_pty=False,
            login_timeout=LOGIN_SECONDS,
        )


class _Login(asyncssh.SSHServer):
    """Public keys only, for one user; any TCP forwarding that the client asks for, as sshd's default has it."""

    def __init__(self, host: SshHost) -> None:
        self._host = host

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if username == self._host.user:
            self._connection.set_authorized_keys(self._host.authorized_keys)
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:  # noqa: ARG002
        return True


class _Files(asyncssh.SFTPServer):
    """SFTP over the machine's own files, with relative paths starting at the host's home."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: str) -> None:
        super().__init__(channel)
        self._home = os.fsencode(home)

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)  # noqa: PTH118 - bytes: a file's name need not be UTF-8


async def serve(path: Path) -> None:
    server, stop = SshServer(), asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(server.listen(Config.read(path)))))
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    await server.listen(Config.read(path))
    await stop.wait()
    server.close()
    # An orderly end of the interpreter kills every command that still has a transport object here.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
