"""A command's conversation over an open session channel: feed it, listen to it, and be sure of how it ended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dojo_deploy.errors import LostError
from dojo_deploy.interfaces import Clock

CHUNK = 256 * 1024
# What a command said may still be on its way when its exit status is here; what holds the output open longer is a child
# that it left behind.
LINGER = 0.25

Sink = Callable[[bytes], None]


@contextlib.contextmanager
def cut_off(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Ends a wait of paramiko's from outside: its own bounds are taken on the wall clock, or there are none."""
    timer = threading.Timer(max(0.0, seconds) + 0.5, action)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass(frozen=True)
class Conversation:
    """One command on `channel`, a paramiko Channel on which nothing was requested yet.

    `broken` are the errors that mean that the channel is gone.
    """

    channel: Any
    host: str
    clock: Clock
    deadline: float
    broken: tuple[type[Exception], ...]

    def hold(self, text: str, *, stdin: BinaryIO | None, on_output: Sink, on_error: Sink) -> int:
        """Starts `text`, feeds it, and passes on what it says until it ends; returns its exit status.

        Raises LostError: it may have run.
        """
        bell = threading.Event()
        self.channel.in_buffer.set_event(_Ring(bell))
        self.channel.in_stderr_buffer.set_event(_Ring(bell))
        self.channel.status_event = _Status(bell)
        try:
            # paramiko makes an end of input under a lock and sends it outside: after the close of a command that was
            # quick, where OpenSSH drops the whole connection for it. So where there is no input it has no end either.
            self.channel.exec_command(text if stdin else f"exec </dev/null\n{text}")
        except self.broken as exc:
            raise LostError(f"connection lost while a command was started ({exc})", host=self.host) from exc
        feeder = _Feeder(self.channel, stdin, self.broken) if stdin else None
        if feeder:
            feeder.start()
        self._listen(bell, feeder, on_output, on_error)
        status = int(self.channel.exit_status)
        if status < 0:
            raise LostError("connection lost before the command's exit status came", host=self.host)
        return status

    def _listen(self, bell: threading.Event, feeder: _Feeder | None, on_output: Sink, on_error: Sink) -> None:
        until, ended = self.deadline, False
        while True:
            bell.clear()
            is_over = self.channel.exit_status_ready()
            is_whole = self.channel.eof_received or self.channel.closed
            heard = self._hear(on_output, on_error)
            if feeder and feeder.failure:
                raise feeder.failure
            if is_over and is_whole and not heard:
                return
            now = self.clock.monotonic()
            if is_over and not ended:
                ended, until = True, min(self.deadline, now + LINGER)
            if now >= until:
                if ended:
                    return
                raise LostError("the command gave no exit status before its deadline", host=self.host)
            if not heard:
                bell.wait(until - now)

    def _hear(self, on_output: Sink, on_error: Sink) -> bool:
        # One piece of each at a time: who talks without end must not talk past the deadline.
        heard = False
        if self.channel.recv_ready():
            on_output(self._taken(self.channel.recv))
            heard = True
        if self.channel.recv_stderr_ready():
            on_error(self._taken(self.channel.recv_stderr))
            heard = True
        return heard

    def _taken(self, recv: Callable[[int], bytes]) -> bytes:
        try:
            return recv(CHUNK)
        except self.broken as exc:  # what is taken is answered with a wider window, over a connection that may be gone
            raise LostError("connection lost while a command's output was taken", host=self.host) from exc


class Through:
    """A tunnel's channel, as a socket: to close one is no error, also when nobody is left to hear of it."""

    def __init__(self, channel: Any, broken: tuple[type[Exception], ...]) -> None:
        self._channel = channel
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def sendall(self, data: bytes) -> None:
        self._channel.sendall(data)

    def recv(self, size: int) -> bytes:
        return bytes(self._channel.recv(size))

    def settimeout(self, seconds: float | None) -> None:
        self._channel.settimeout(seconds)

    def shutdown(self, how: int) -> None:
        with contextlib.suppress(*self._broken):
            self._channel.shutdown(how)

    def close(self) -> None:
        with contextlib.suppress(*self._broken):
            self._channel.close()


class _Feeder(threading.Thread):
    """Sends standard input beside the reading, so that neither side waits for the other."""

    def __init__(self, channel: Any, stdin: BinaryIO, broken: tuple[type[Exception], ...]) -> None:
        super().__init__(daemon=True, name="stdin")
        self.failure: OSError | None = None
        self._channel = channel
        self._stdin = stdin
        self._broken = broken

    def run(self) -> None:
        while True:
            try:
                data = self._stdin.read(CHUNK)
            except (OSError, ValueError) as exc:
                self.failure = OSError(f"standard input could not be read: {exc}")
                data = b""
            try:
                if not data:
                    self._channel.shutdown_write()
                    return
                self._channel.sendall(data)
            except self._broken:
                # The remote end reads no more, or is gone: which of the two, the exit status tells.
                return


class _Ring:
    """paramiko clears a buffer's event when the buffer runs dry; this one rings a bell that several buffers share."""

    def __init__(self, bell: threading.Event) -> None:
        self._bell = bell

    def set(self) -> None:
        self._bell.set()

    def clear(self) -> None:
        pass


class _Status(threading.Event):
    def __init__(self, bell: threading.Event) -> None:
        super().__init__()
        self._bell = bell

    def set(self) -> None:
        super().set()
        self._bell.set()
