"""To a store and back, over a line that breaks as it is told to."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer


class Line(ThreadingTCPServer):
    """To the server and back. `spoil` says what happens to a request or to an answer, by its first bytes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = upstream
        self.fault = ""
        self.times = 0
        self.met = 0
        self.freed = threading.Event()  # ends a stall

    def meets(self, head: bytes, *, answered: bool) -> str:
        """The fault of this request, counted."""
        wanted = {"500": b"PUT", "reset": b"PUT", "stall": b"PUT", "lost": b"POST", "cut": b"GET"}.get(self.fault, b"-")
        is_ours = head.startswith(wanted) and (b"uploadId=" in head or self.fault == "cut")
        if not is_ours or not self.times or answered != (self.fault in ("lost", "cut")):
            return ""
        self.times -= 1
        self.met += 1
        return self.fault


class _Forward(BaseRequestHandler):
    server: Line

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
                    if fault == "stall":
                        self.server.freed.wait(60)
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
