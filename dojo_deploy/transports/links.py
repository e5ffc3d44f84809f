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

    @property
    def is_alive(self) -> bool:
        return not self._retired and bool(self._transport.is_active())

    def session(self, within: float) -> Any:
        """A new session channel, within so many seconds. Raises UnreachableError: nothing was asked of the host."""
        # Counted before it waits: a link that is retired meanwhile is not closed under it.
        with self._lock:
            if self._retired:
                raise UnreachableError("the connection takes no new sessions", host=self._host.name)
            self._users += 1
        if not self._slots.acquire(timeout=max(0.0, within)):
            self._leave()
            raise UnreachableError(f"all {SESSIONS} sessions stayed busy", host=self._host.name)
        try:
            channel = self._spare()
            if channel is None:
                with self._opening:
                    # One that was opened ahead meanwhile is as good.
                    channel = self._spare() or self._opened(within)
            return channel
        except self.broken as exc:
            self.release(None)
            raise UnreachableError(f"no session could be opened: {exc}", host=self._host.name) from exc

    def prepare(self, sessions: int, within: float) -> None:
        """Opens sessions ahead of their use, each of which saves a round trip then. Best effort."""
        with contextlib.suppress(*self.broken):
            while len(self._spares) < min(sessions, SESSIONS):
                with self._opening:
                    self._spares.append(self._opened(within))

    def release(self, channel: Any) -> None:
        """The session is over, or given up."""
        if channel is not None and self._retired:
            # Saying so could wait for ever on a peer that reads nothing any more.
            threading.Thread(target=self._hang_up, args=(channel,), daemon=True).start()
        elif channel is not None:
            # Before the next one is asked for: until it has heard so, the server counts this one too.
            self._hang_up(channel)
        self._slots.release()
        self._leave()

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

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = self._retired and not self._users
        if is_last:
            self.close()

    def _spare(self) -> Any:
        while self._spares:
            channel = self._spares.popleft()
            if not channel.closed:
                return channel
        return None

    def _opened(self, within: float) -> Any:
        with cut_off(within, self.close):
            return self._transport.open_session(timeout=max(0.0, within))

    def _hang_up(self, channel: Any) -> None:
        with contextlib.suppress(*self.broken):
            channel.close()
