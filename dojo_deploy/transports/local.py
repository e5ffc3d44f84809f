"""The controller as a host: the same seam, for hooks that run where the deployment runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.errors import LostError, UnreachableError
from dojo_deploy.interfaces import Completed, Tunnel
from dojo_deploy.inventory import Host
from dojo_deploy.plan import CONTROLLER

CHUNK = 65536


@dataclass(frozen=True)
class LocalShell:
    """Runs commands in a shell of their own session, so that a deadline ends all of it."""

    host: Host = Host(CONTROLLER, (), "127.0.0.1", "/")

    def open(self) -> None:
        """There is nothing to connect to."""

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        with _started(command.render(), complaints=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout=within)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise LostError(f"no end within {within:g} s: {command.text}", host=self.host.name) from None
        return Completed(_status(process.returncode), out, err)

    def stream(
        self, text: str, *, within: float, stdin: BinaryIO | None = None, on_output: Callable[[bytes], None]
    ) -> int:
        # Nobody reads its complaints here: a pipe would stop it once that is full.
        with _started(text, complaints=subprocess.DEVNULL) as process:
            feeder = threading.Thread(target=_feed, args=(stdin, process.stdin), daemon=True)
            alarm = threading.Timer(within, _kill, (process,))
            feeder.start()
            alarm.start()
            try:
                assert process.stdout
                while data := os.read(process.stdout.fileno(), CHUNK):
                    on_output(data)
                process.wait()
            except BaseException:
                _kill(process)
                raise
            finally:
                alarm.cancel()
        if process.returncode == -signal.SIGKILL:
            raise LostError(f"no end within {within:g} s", host=self.host.name)
        return _status(process.returncode)

    def dial(self, address: str, port: int, *, within: float) -> Tunnel:
        return socket.create_connection((address, port), timeout=within)

    def close(self) -> None:
        """Nothing is kept."""


def _started(text: str, *, complaints: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", 'line=$DOJO_LINE; unset DOJO_LINE; eval "$line"'],
            env={**os.environ, "DOJO_LINE": text},  # not in argv, which everyone on the machine can read
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
    except OSError as exc:
        raise UnreachableError(f"cannot start a shell: {exc.strerror}", host=CONTROLLER) from exc


def _feed(source: BinaryIO | None, sink: IO[bytes] | None) -> None:
    assert sink
    # A command that does not want its input may close it at any time.
    with contextlib.suppress(BrokenPipeError, ValueError):
        while source and (data := source.read(CHUNK)):
            sink.write(data)
            sink.flush()  # who asks may wait for the answer before it says more
    with contextlib.suppress(BrokenPipeError, ValueError):
        sink.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _status(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode
