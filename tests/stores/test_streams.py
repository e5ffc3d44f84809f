"""What flows into a store and out of it: whole, or not there; on every kind, and through a line that breaks."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from dojo_deploy.errors import StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.stores import s3_parts
from dojo_deploy.stores.s3 import S3

from .conftest import s3_options
from .sites import Site

DATA = os.urandom(5 << 20) * 4 + b"the end"  # three parts


@pytest.mark.parametrize("size", [0, 1, len(DATA)])
def test_what_flows_in_flows_out(store: Store, size: int) -> None:
    with store.incoming("a/dump") as sink:
        for at in range(0, size, 700_000):
            sink(DATA[at : min(at + 700_000, size)])
        assert store.list("a") == ()
    with store.outgoing("a/dump") as source:
        assert source is not None
        assert hashlib.sha256(source.read()).digest() == hashlib.sha256(DATA[:size]).digest()
    assert store.list("a") == ("a/dump",)


def test_a_block_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.incoming("a/dump") as sink:
        sink(DATA)
        raise ZeroDivisionError
    assert store.list("") == ()
    with store.outgoing("a/dump") as source:
        assert source is None


class _Line(ThreadingTCPServer):
    """To the server and back. `spoil` says what happens to a request or to an answer, by its first bytes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = upstream
        self.fault = ""
        self.times = 0
        self.met = 0

    def meets(self, head: bytes, *, answered: bool) -> str:
        """The fault of this request, counted."""
        wanted = {"500": b"PUT", "reset": b"PUT", "lost": b"POST", "cut": b"GET"}.get(self.fault, b"-")
        is_ours = head.startswith(wanted) and (b"uploadId=" in head or self.fault == "cut")
        if not is_ours or not self.times or answered != (self.fault in ("lost", "cut")):
            return ""
        self.times -= 1
        self.met += 1
        return self.fault


class _Forward(BaseRequestHandler):
    server: _Line

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream, timeout=30) as upstream:
            self.head, self.passed = b"", 0
            threading.Thread(target=self._answers, args=(upstream,), daemon=True).start()
            while data := _received(self.request):
                if data.split(b" ")[0] in (b"PUT", b"POST", b"GET", b"HEAD", b"DELETE"):
                    self.head, self.passed = data[:300], 0
                    fault = self.server.meets(self.head, answered=False)
                    if fault == "500":
                        self.request.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    if fault:
                        return _slam(self.request)
                upstream.sendall(data)
        return None

    def _answers(self, upstream: socket.socket) -> None:
        while data := _received(upstream):
            if self.passed == 0 or self.server.fault == "cut":
                fault = "" if data.startswith(b"HTTP/1.1 100") else self._spoiled()
                if fault:
                    _slam(self.request)
                    return
            self.passed += len(data)
            try:
                self.request.sendall(data)
            except OSError:
                return

    def _spoiled(self) -> str:
        if self.server.fault == "cut" and self.passed < 1 << 20:
            return ""
        return self.server.meets(self.head, answered=True)


def _slam(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):  # another thread that reads it would keep it open
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


@pytest.fixture
def line(s3_endpoint: str) -> Iterator[_Line]:
    address, _, port = s3_endpoint.removeprefix("http://").partition(":")
    server = _Line((address, int(port)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def distant(line: _Line, site: Site, tmp_path: Any) -> Iterator[Any]:
    host, port = line.server_address
    store = S3(**s3_options(f"http://{host}:{port}", tmp_path.name)).open(site)  # type: ignore[arg-type]
    yield store
    store.close()


@pytest.mark.parametrize(("fault", "times"), [("500", 2), ("reset", 2), ("lost", 1), ("cut", 2)])
def test_a_line_that_breaks_now_and_then_changes_nothing(line: _Line, distant: Any, fault: str, times: int) -> None:
    line.fault, line.times = fault, times
    with distant.incoming("dump") as sink:
        sink(DATA)
    with distant.outgoing("dump") as source:
        assert hashlib.sha256(source.read()).digest() == hashlib.sha256(DATA).digest()
    assert line.met == times


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_a_line_that_stays_broken_is_an_error_and_leaves_no_part(line: _Line, distant: Any, fault: str) -> None:
    line.fault, line.times = fault, 1000
    with pytest.raises(StoreError, match="could not be uploaded"), distant.incoming("dump") as sink:
        sink(DATA)
    line.fault = ""
    assert distant.list("") == ()
    assert _open_uploads(distant) == []


def test_a_download_that_breaks_again_and_again_is_an_error(line: _Line, distant: Any) -> None:
    with distant.incoming("dump") as sink:
        sink(DATA)
    line.fault, line.times = "cut", 1000
    with distant.outgoing("dump") as source, pytest.raises(StoreError, match="could not be downloaded"):
        source.read()


def test_what_a_killed_process_left_is_ended_a_day_later(distant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"Bucket": distant.settings.bucket, "Key": f"{distant.base}left"}
    distant.client.create_multipart_upload(**name)
    with distant.incoming("dump") as sink:
        sink(b"x")
    assert _open_uploads(distant) == [name["Key"]]
    monkeypatch.setattr(s3_parts, "STALE_SECONDS", -60.0)
    with distant.incoming("dump") as sink:
        sink(b"x")
    assert _open_uploads(distant) == []


def _open_uploads(store: Any) -> list[str]:
    answer = store.client.list_multipart_uploads(Bucket=store.settings.bucket, Prefix=store.base)
    return [item["Key"] for item in answer.get("Uploads", ())]
