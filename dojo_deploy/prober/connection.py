"""One client connection: a request at a time, and how each of them ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dojo_deploy.prober.response import Response


class Request:
    """A request under way. `sent` is when it was due to go, its connecting included, in the load's own seconds."""

    __slots__ = ("connection", "keep", "opening", "response", "sent")

    def __init__(self, sent: float) -> None:
        self.sent = sent
        self.response = Response()
        self.keep = False
        self.opening: asyncio.Task[None] | None = None
        self.connection: Connection | None = None


class Connection(asyncio.Protocol):
    """Strict, as a plain client is: a connection that ends under a request that was sent is that request's failure.

    `ended(connection, request, problem)` is called once per request, with an empty problem for a good one;
    `gone(connection)` as soon as it can carry no more.
    """

    def __init__(self, ended: Callable[[Connection, Request, str], None], gone: Callable[[Connection], None]) -> None:
        self.kept = False
        self.is_open = True
        self._ended = ended
        self._gone = gone
        self._request: Request | None = None
        self._transport: asyncio.Transport | None = None

    def ask(self, request: Request, text: bytes) -> None:
        self._request = request
        request.connection = self
        if self._transport is None or not self.is_open:
            self._end("reset before the request")
            return
        self._transport.write(text)

    def close(self) -> None:
        self._leave()
        if self._transport:
            self._transport.close()

    def abandon(self) -> None:
        """Drops the connection with what is under way, without a word about it."""
        self._request = None
        self._leave()
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self.close()
            return
        response = self._request.response
        try:
            whole = response.feed(data)
        except ValueError as exc:
            response.keeps = False
            self._end(f"bad answer: {exc}")
            return
        if whole:
            self._end(f"status {response.status}" if response.status >= 400 else "")

    def eof_received(self) -> None:
        self._leave()
        self._cut("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._cut("reset" if exc else "closed")

    def _cut(self, how: str) -> None:
        if self._request is None:
            return
        response = self._request.response
        if response.is_whole_at_eof():
            self._end(f"status {response.status}" if response.status >= 400 else "")
        else:
            self._end(f"{how} {'mid-answer' if response.begun else 'before an answer'}")

    def _leave(self) -> None:
        if self.is_open:
            self.is_open = False
            self._gone(self)

    def _end(self, problem: str) -> None:
        request, self._request = self._request, None
        if request:
            self._ended(self, request, problem)
