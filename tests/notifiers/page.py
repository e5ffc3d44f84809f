"""A small real status page that can be down, slow, in trouble, or lose its answer after it has done its work."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "page-token-7f3c91"


@dataclass
class Page:
    """`faults`, one per request, then always `stuck`: 500, 401, 302, slow, drip, lose."""

    port: int = 0
    lists: bool = True
    faults: list[str] = field(default_factory=list)
    stuck: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Authorization
    elsewhere: str = ""  # where a 302 leads to
    _server: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/incidents"

    @property
    def one(self) -> dict[str, Any]:
        """The only entry there is."""
        (entry,) = self.entries.values()
        return entry

    @property
    def course(self) -> list[str]:
        """The statuses that the only entry has had."""
        return list(self.one["course"])

    def up(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def took(self, method: str, path: str, entry: dict[str, Any]) -> tuple[int, Any]:
        """What is asked for, done."""
        entry = entry.get("incident", entry)
        with self._lock:
            number = path.rpartition("/")[2]
            if method == "GET":
                return (200, list(self.entries.values())) if self.lists else (405, {})
            if method == "POST":
                number = f"inc-{len(self.entries) + 1}"
                self.entries[number] = {"id": number, "course": []}
            elif number not in self.entries:
                return 404, {"error": "no such incident"}
            made = self.entries[number]
            made.update(entry)
            made["course"].append(entry["status"])
            return (201 if method == "POST" else 200), made

    def fault(self) -> str:
        with self._lock:
            return self.faults.pop(0) if self.faults else self.stuck


def _handler(page: Page) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            page.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = page.fault()
            if fault == "slow":
                time.sleep(1.6)
            if fault in ("500", "401", "302"):
                # A page that shows what it was sent must not bring the token into anybody's log.
                said = json.dumps({"error": f"refused {self.headers.get('Authorization')}"}).encode()
                self._send(int(fault), said)
                return
            if self.headers.get("Authorization", "").split()[-1:] != [TOKEN]:
                self._send(401, b'{"error": "unknown token"}')
                return
            status, made = page.took(self.command, self.path, json.loads(body) if body else {})
            if fault == "lose":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self._send(status, json.dumps(made).encode(), drips=fault == "drip")

        do_GET = do_POST = do_PATCH = _answer

        def _send(self, status: int, body: bytes, *, drips: bool = False) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", page.elsewhere)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if drips:
                        time.sleep(0.3)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


@contextlib.contextmanager
def status_page() -> Iterator[Page]:
    page = Page()
    page.up()
    try:
        yield page
    finally:
        page.down()
