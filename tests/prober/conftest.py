"""A real HTTP server on loopback that can be told to misbehave, an exact number of times."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest


class Server:
    """Answers GETs with the release in JSON, on kept connections; `faults` are taken one per request, first to last."""

    def __init__(self, port: int = 0) -> None:
        self.faults: deque[str] = deque()
        self.release = "v1"
        self.style = "length"
        self.answered = 0
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                _reset(sock)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.add(sock)
                self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self._answer(sock):
                pass
        except OSError:
            pass
        with self._lock:
            self._sockets.discard(sock)
        sock.close()

    def _answer(self, sock: socket.socket) -> bool:
        request = b""
        while b"\r\n\r\n" not in request:
            data = sock.recv(65536)
            if not data:
                return False
            request += data
        close = b"connection: close" in request.lower()
        with self._lock:
            fault = self.faults.popleft() if self.faults else ""
        body = b'{"release": "%s"}' % self.release.encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
        if fault == "hang":
            time.sleep(30)
        elif fault == "reset":
            _reset(sock)
            return False
        elif fault == "close":
            return False
        elif fault == "reset mid-body":
            sock.sendall(head + b"\r\n" + body[:4])
            time.sleep(0.05)
            _reset(sock)
            return False
        elif fault == "close mid-body":
            sock.sendall(head + b"\r\n" + body[:4])
            return False
        elif fault == "500":
            sock.sendall(head.replace(b"200 OK", b"500 Oh") + b"\r\n" + body)
        elif fault == "noise":
            sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            return False
        elif fault == "slow":
            time.sleep(0.3)
            sock.sendall(head + b"\r\n" + body)
        elif fault == "last":  # a clean end that was announced
            sock.sendall(head + b"Connection: close\r\n\r\n" + body)
            return False
        elif fault == "quiet end":  # a clean end after a good answer, unannounced
            sock.sendall(head + b"\r\n" + body)
            return False
        elif self.style == "chunked":
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + body[:5] + b"\r\n")
            sock.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - 5, body[5:]))
        elif self.style == "until close":
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)
            return False
        else:
            sock.sendall(head + b"X-Upstream: 10.0.0.1:3000\r\n\r\n" + body)
        with self._lock:
            self.answered += 1
        return not close


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    sock.close()
