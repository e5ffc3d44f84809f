"""A host's shell over a kept connection: commands, streams, tunnels, and when to connect again."""

from __future__ import annotations

import contextlib
import io
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from dojo_deploy.command import Command
from dojo_deploy.errors import LostError, TransportError, UnreachableError
from dojo_deploy.interfaces import Clock, Completed, Tunnel
from dojo_deploy.inventory import Host
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.channels import Conversation, cut_off
from dojo_deploy.transports.links import Link

RECONNECTS = 20  # connections that one shell may lose before it says so instead of trying for ever
OUTPUT_BYTES = 8 * 1024 * 1024
# The kernel takes 128 KiB in one argument, which is how sshd hands the text to the login shell.
ARGUMENT_BYTES = 64 * 1024
AHEAD = 2  # sessions: for a look at the host and for its job


class SshShell:
    """`interfaces.Shell` for one host. A lost connection is opened again by the next call, never within one."""

    def __init__(self, host: Host, connect: Callable[[float], Link], clock: Clock) -> None:
        """`connect` opens a connection before a time on the clock's monotonic scale."""
        self.host = host
        self.connects = 0
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._closed = False

    def open(self) -> None:
        within = self.host.ssh.connect_within
        self._linked(self._clock.monotonic() + within).prepare(AHEAD, within)

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        mark = secrets.token_hex(8).encode()
        text, given = _sendable(command, mark.decode(), stdin)
        said, complaint = bytearray(), bytearray()

        def collect(into: bytearray) -> Callable[[bytes], None]:
            def take(data: bytes) -> None:
                into.extend(data)
                if len(into) > OUTPUT_BYTES:
                    raise LostError(
                        f"a command printed more than {OUTPUT_BYTES >> 20} MiB and was left to itself",
                        host=self.host.name,
                        hint="send its output to a file on the host",
                    )

            return take

        status = self._hold(
            text, within, io.BytesIO(given) if given else None, on_output=collect(said), on_error=collect(complaint)
        )
        # What stands before the mark was said by the login shell's own start-up files.
        before, found, stdout = bytes(said).partition(mark + b"\n")
        if not found:
            noise = (before or bytes(complaint)).decode("utf-8", "backslashreplace").strip()[-500:]
            raise UnreachableError(
                f"the login shell ended {status} before the command: {noise}",
                host=self.host.name,
                hint="the deploy user needs a POSIX shell whose start-up files do not end it",
            )
        return Completed(status, stdout, bytes(complaint))

    def stream(
        self, text: str, *, within: float, stdin: BinaryIO | None = None, on_output: Callable[[bytes], None]
    ) -> int:
        return self._hold(text, within, stdin, on_output=on_output, on_error=lambda _: None)

    def dial(self, address: str, port: int, *, within: float) -> Tunnel:
        deadline = self._clock.monotonic() + within
        return self._linked(deadline).tunnel(address, port, within=deadline - self._clock.monotonic())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link:
            link.close()

    def _hold(
        self,
        text: str,
        within: float,
        stdin: BinaryIO | None,
        *,
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
    ) -> int:
        deadline = self._clock.monotonic() + within
        with self._session(deadline) as (link, channel):
            talk = Conversation(channel, self.host.name, self._clock, deadline, link.broken)
            return talk.hold(text, stdin=stdin, on_output=on_output, on_error=on_error)

    @contextlib.contextmanager
    def _session(self, deadline: float) -> Iterator[tuple[Link, Any]]:
        link, channel = self._open(deadline)
        try:
            # The answer to an exec request is waited for without a bound; this is one.
            with cut_off(deadline - self._clock.monotonic(), link.close):
                yield link, channel
        except LostError:
            # A command that is still running there keeps its session slot for as long as the connection lives.
            self._retire(link)
            raise
        finally:
            link.release(channel)

    def _open(self, deadline: float) -> tuple[Link, Any]:
        link = self._linked(deadline)
        try:
            return link, link.session(deadline - self._clock.monotonic())
        except UnreachableError:
            # Nothing was asked of the host yet, so a kept connection that turns out dead may be replaced at once.
            self._retire(link)
            link = self._linked(deadline)
            return link, link.session(deadline - self._clock.monotonic())

    def _linked(self, deadline: float) -> Link:
        if not self._lock.acquire(timeout=max(0.0, deadline - self._clock.monotonic())):
            raise UnreachableError("still connecting at the deadline", host=self.host.name)
        try:
            if self._closed:
                raise TransportError("this connection was closed", host=self.host.name)
            if self._link is not None and self._link.is_alive:
                return self._link
            if self.connects > RECONNECTS:
                raise UnreachableError(f"the connection was lost {RECONNECTS} times", host=self.host.name)
            self._link = None
            self._link = self._connect(deadline)
            self.connects += 1
            return self._link
        finally:
            self._lock.release()

    def _retire(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.retire()


def _sendable(command: Command, mark: str, stdin: bytes) -> tuple[str, bytes]:
    """The text to execute and the bytes to feed it; secrets, and what is too long, travel in the bytes."""
    text = command.render()
    words = (*command.words, *(value for _, value in command.env))
    raw = text.encode()
    if len(raw) <= ARGUMENT_BYTES and not any(isinstance(word, Secret) for word in words):
        return f"echo {mark}\n{text}\nexit $?", stdin
    return f'echo {mark}\neval "$(head -c {len(raw)})"\nexit $?', raw + stdin
