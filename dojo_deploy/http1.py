"""One HTTP/1.1 request over a connection that somebody else made: a host's own tunnel, or a socket."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Clock, Tunnel

BODY = 64 * 1024


@dataclass(frozen=True)
class Response:
    """`headers` has lower-case names; `body` may be cut, at 64 KiB if nothing else was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def field(self, dotted: str) -> str | None:
        return pick(self.body, dotted)


def fetch(
    tunnel: Tunnel,
    path: str,
    *,
    clock: Clock,
    within: float,
    headers: Mapping[str, str],
    method: str = "GET",
    body: bytes = b"",
    most: int = BODY,
) -> Response:
    """Asks once and follows nothing. `within` bounds the whole answer in seconds, however slowly it drips.

    At most `most` bytes of its body are read. Closes the tunnel. Raises OSError: no answer in time, a connection cut
    short, or something that is not HTTP.
    """
    stream = _Stream(tunnel, clock, clock.monotonic() + within)
    length = {"Content-Length": str(len(body))} if body else {}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **length}.items())]
    try:
        stream.send("\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8") + body)
        answer = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
        answer.begin()
        content = answer.read(most)
        if len(content) < most and answer.length:
            raise http.client.IncompleteRead(content, answer.length)
    except http.client.IncompleteRead as exc:
        raise ConnectionError(f"the answer was cut short after {len(exc.partial)} bytes") from exc
    except (http.client.HTTPException, ValueError) as exc:
        raise ConnectionError(f"not an HTTP answer: {type(exc).__name__} {exc}".strip()) from exc
    finally:
        tunnel.close()
    return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def fetch_url(
    url: str,
    *,
    clock: Clock,
    within: float,
    address: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    method: str = "GET",
    body: bytes = b"",
    most: int = BODY,
) -> Response:
    """`fetch` from this machine, of one `address` among those of the URL's host. Raises OSError.

    `within` bounds all of it but the look at the name, which the system bounds.
    """
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    deadline = clock.monotonic() + within
    connection = _connected(address or host, parts.port or (443 if secure else 80), clock, deadline)
    if secure:
        try:
            connection.settimeout(_rest(clock, deadline))
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        except OSError:
            connection.close()
            raise
    rest = deadline - clock.monotonic()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Host": parts.netloc.rpartition("@")[2], **headers}
    return fetch(connection, path, clock=clock, within=rest, headers=sent, method=method, body=body, most=most)


def pick(body: bytes, dotted: str) -> str | None:
    """A field of a JSON document as text (`true`, `3`, `null` as JSON writes them); None where there is none."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in dotted.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, str) else json.dumps(value)


def _connected(host: str, port: int, clock: Clock, deadline: float) -> socket.socket:
    """To the first of the host's addresses that answers. Raises OSError: that of the last one."""
    failure: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_rest(clock, deadline))
            connection.connect(address)
        except OSError as exc:
            connection.close()
            failure = exc
        else:
            return connection
    raise failure


def _rest(clock: Clock, deadline: float) -> float:
    rest = deadline - clock.monotonic()
    if rest <= 0:
        raise TimeoutError("timed out")
    return rest


class _Stream(io.RawIOBase):
    """What http.client wants of a socket, with one deadline over all reads."""

    def __init__(self, tunnel: Tunnel, clock: Clock, deadline: float) -> None:
        self._tunnel = tunnel
        self._clock = clock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def send(self, data: bytes) -> None:
        self._tunnel.settimeout(_rest(self._clock, self._deadline))
        self._tunnel.sendall(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._tunnel.settimeout(_rest(self._clock, self._deadline))
        data = self._tunnel.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
