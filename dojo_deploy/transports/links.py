"""One authenticated connection: its session slots, and when it ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from typing import Any

from dojo_deploy.errors import UnreachableError
from dojo_deploy.interfaces import Tunnel
from dojo_deploy.inventory import Host
from dojo_deploy.transports.channels import cut_off

# Takes the length of its text in a line of its own, and then the text; what follows is the text's own input.
WAIT = 'IFS= read -r n && eval "$(head -c "$n")"'
SESSIONS = 8  # at once per connection; sshd's MaxSessions is 10 and an abandoned command keeps its slot


class Link:
    """Sessions on `transport`, a paramiko Transport. It ends when closed, or retired and its sessions are released.

    `broken` are the errors that mean that a channel, or all of it, is gone.
    """

    def __init__(self, transport: Any, host: Host, broken: tuple[type[Exception], ...]) -> None:
        self.broken = broken
        self._transport = transport
        self._host = host
        self._slots = threading.BoundedSemaphore(SESSIONS)
        # paramiko keeps one exception per connection: threads that open side by side get each other's.
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        self._spares: deque[Any] = deque()
        self._waiting: deque[Any] = deque()

    @property
    def is_alive(self) -> bool:
        return not self._retired and bool(self._transport.is_active())

    def session(self, within: float) -> Any:
        """A new session channel, within so many seconds. Raises UnreachableError: nothing was asked of the host."""
        if not self._slots.acquire(timeout=max(0.0, within)):
            raise UnreachableError(f"all {SESSIONS} sessions stayed busy", host=self._host.name)
        with self._lock:
            self._users += 1
        try:
            channel = _usable(self._spares)
            if channel is None:
                with self._opening:
                    # One that was opened ahead meanwhile is as good.
                    channel = _usable(self._spares) or self._opened(within)
            return channel
        except self.broken as exc:
            self.release(None)
            raise UnreachableError(f"no session could be opened: {exc}", host=self._host.name) from exc

    def waiting(self) -> Any:
        """A session in which a shell waits for its text, as `prepare` starts one; None if there is none left."""
        if not self._slots.acquire(blocking=False):
            return None
        with self._lock:
            self._users += 1
        channel = _usable(self._waiting)
        if channel is None:
            self.release(None)
        return channel

    def prepare(self, sessions: int, within: float) -> None:
        """Opens sessions ahead of their use, each of which saves a round trip then, and one more in which a shell
        waits for its text, which saves two. Best effort."""
        with contextlib.suppress(*self.broken):
            while len(self._spares) < min(sessions, SESSIONS):
                with self._opening:
                    self._spares.append(self._opened(within))
            with self._opening:
                channel = self._opened(within)
            with cut_off(within, self.close):
                channel.exec_command(WAIT)
            self._waiting.append(channel)

    def release(self, channel: Any) -> None:
        """The session is over, or given up."""
        with self._lock:
            self._users -= 1
            is_last = self._retired and not self._users
        self._slots.release()
        if is_last:
            self.close()
        elif channel is not None and self._retired:
            # Saying so could wait for ever on a peer that reads nothing any more.
            threading.Thread(target=self._hang_up, args=(channel,), daemon=True).start()
        elif channel is not None:
            self._hang_up(channel)

    def tunnel(self, address: str, port: int, *, within: float) -> Tunnel:
        """A TCP connection made by the host. Raises OSError."""
        raise NotImplementedError

    def retire(self) -> None:
        """No new sessions; those that are open go on."""
        with self._lock:
            self._retired = True
            is_last = not self._users
        if is_last:
            self.close()

    def close(self) -> None:
        # The reader sleeps in its socket: woken, it ends at once instead of at its next look around.
        with contextlib.suppress(OSError, AttributeError):
            self._transport.sock.shutdown(socket.SHUT_RDWR)
        self._transport.close()

    def _opened(self, within: float) -> Any:
        with cut_off(within, self.close):
            return self._transport.open_session(timeout=max(0.0, within))

    def _hang_up(self, channel: Any) -> None:
        with contextlib.suppress(*self.broken):
            channel.close()


def _usable(channels: deque[Any]) -> Any:
    while channels:
        channel = channels.popleft()
        if not channel.closed:
            return channel
    return None
