"""A steady, bounded load: a request is due every 1/rate seconds, whatever became of the others; none is repeated."""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.parse
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from dojo_deploy.prober.connection import Connection, Request
from dojo_deploy.prober.figures import STOPPED
from dojo_deploy.prober.record import Record

SWEEP = 0.1  # how late a timeout may be seen, seconds
FLUSH = 0.25
LATE = 0.25  # a schedule that fell further behind (a suspended process) is not made up for in a burst
CROWD = 8  # requests under way at most, per kept connection


@dataclass(frozen=True)
class Settings:
    """What to ask, how often, and whom to believe. Durations are seconds."""

    url: str
    field: str = ""  # dotted JSON field of an answer that names its release
    header: str = ""  # response header that does, where no field is
    rate: float = 400.0
    connections: int = 8
    fresh_every: int = 10  # each so many requests, one goes over a connection of its own
    within: float = 5.0
    lasting: float = 7 * 86400.0  # it ends with the process that started it, long before


class Load:
    """Makes the load until told to stop. `ready` is called once, when the first request has ended."""

    def __init__(self, settings: Settings, record: Record, *, ready: Callable[[], None] = lambda: None) -> None:
        parts = urllib.parse.urlsplit(settings.url)
        self._settings = settings
        self._record = record
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._server = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._kept_text, self._fresh_text = _texts(parts, keep=True), _texts(parts, keep=False)
        self._field = tuple(name for name in settings.field.split(".") if name)
        self._header = settings.header.lower().encode()
        self._idle: deque[Connection] = deque()
        self._kept = 0  # connections that are, or will be, kept
        self._under_way: dict[Request, None] = {}
        self._count = 0
        self._start = self._loop.time()
        self._stopped = asyncio.Event()
        self._enough: tuple[int, float] | None = None

    @property
    def second(self) -> float:
        """Seconds since the load began."""
        return self._loop.time() - self._start

    def stop(self, *, at_least: int = 0, within: float = 0.0) -> None:
        """Ends the load once `at_least` requests have counted, or `within` seconds from now."""
        self._enough = (at_least, self.second + within)

    async def run(self) -> str:
        """Returns why it ended, after the last request has."""
        self._tick()
        why = ""
        while not why:
            await asyncio.sleep(SWEEP)
            self._sweep()
            why = self._why_stop()
        self._stopped.set()
        while self._under_way:
            await asyncio.sleep(SWEEP / 10)
            self._sweep()
        for connection in tuple(self._idle):
            connection.close()
        return why

    async def flush(self) -> None:
        """Appends a slice every FLUSH seconds, for ever."""
        while True:
            await asyncio.sleep(FLUSH)
            self._record.flush(self.second)

    def _why_stop(self) -> str:
        if self.second >= self._settings.lasting:
            return "ran as long as it may"
        if self._enough and (self._record.counted >= self._enough[0] or self.second >= self._enough[1]):
            return STOPPED
        return ""

    def _tick(self) -> None:
        if self._stopped.is_set():
            return
        rate = self._settings.rate
        while (due := self._count / rate) <= self.second:
            self._count += 1
            crowded = len(self._under_way) >= self._settings.connections * CROWD
            if crowded or self.second - due > LATE:
                self._record.skip()
            else:
                self._send()
        self._loop.call_at(self._start + self._count / rate, self._tick)

    def _send(self) -> None:
        # A kept connection may be served by the balancer's configuration of before: useless while waiting for a site.
        fresh = self._record.waiting or self._count % self._settings.fresh_every == 0
        request = Request(self.second)
        self._under_way[request] = None
        if not fresh and self._idle and self._kept >= self._settings.connections:
            connection = self._idle.popleft()
            connection.ask(request, self._kept_text)
            return
        request.keep = not fresh and self._kept < self._settings.connections
        self._kept += request.keep
        request.opening = self._loop.create_task(self._open(request))

    async def _open(self, request: Request) -> None:
        host, port = self._server
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._ended, self._gone), host, port, ssl=self._tls
            )
        except OSError as exc:  # ssl.SSLError is one
            self._kept -= request.keep
            self._finish(request, f"connect: {_reason(exc)}")
            return
        connection.kept = request.keep
        connection.ask(request, self._kept_text if request.keep else self._fresh_text)

    def _ended(self, connection: Connection, request: Request, problem: str) -> None:
        self._finish(request, problem)
        if connection.is_open and connection.kept and request.response.keeps:
            self._idle.append(connection)
        else:
            connection.close()

    def _gone(self, connection: Connection) -> None:
        if connection.kept:
            connection.kept = False
            self._kept -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    def _finish(self, request: Request, problem: str) -> None:
        if request not in self._under_way:
            return
        del self._under_way[request]
        response = request.response
        release = response.release(self._field, self._header) if response.status else ""
        if not problem:
            self._record.succeed(request.sent, self.second, release)
        else:
            by = f" from {release}" if release and problem.startswith("status") else ""
            self._record.fail(request.sent, self.second, problem + by)
        self._ready()

    def _sweep(self) -> None:
        latest = self.second - self._settings.within
        # Insertion order is sending order: the first that is young enough ends the search.
        for request in tuple(self._under_way):
            if request.sent > latest:
                return
            if request.connection:
                request.connection.abandon()
            elif request.opening and request.opening.cancel():
                self._kept -= request.keep
            self._finish(request, "timeout" if request.connection else "timeout while connecting")


def _texts(parts: urllib.parse.SplitResult, *, keep: bool) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "User-Agent: dojo-deploy-prober", "Accept: */*"]
    return "\r\n".join([*lines, *([] if keep else ["Connection: close"]), "", ""]).encode()


def _reason(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return exc.verify_message
    if isinstance(exc, ssl.SSLError):
        return exc.reason or str(exc)
    # asyncio puts the address into `strerror`, which would make a kind of error of each address.
    return os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
