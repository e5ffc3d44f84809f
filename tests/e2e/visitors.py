"""People who use a site while it is closed and opened again, and what each of their requests got."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

EVERY = 0.02


@dataclass(frozen=True)
class Visit:
    sent: float
    ended: float
    status: int  # 0: no answer
    retry_after: str
    body: bytes


@dataclass
class Visitors:
    """Ask how their jobs are, over fresh connections, as strangers do."""

    url: str
    visits: list[Visit] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def turned_away(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.status == 503]

    @property
    def spans(self) -> list[int]:
        """The statuses that followed upon each other, by when the requests were sent."""
        found: list[int] = []
        for visit in sorted(self.visits, key=lambda one: one.sent):
            found += [visit.status] if found[-1:] != [visit.status] else []
        return found

    def run(self) -> None:
        while not self._stop.wait(EVERY):
            self.visits.append(self._visit())

    def stop(self) -> None:
        self._stop.set()

    def _visit(self) -> Visit:
        place = urllib.parse.urlsplit(self.url)
        sent = time.monotonic()
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=5)
        try:
            connection.request("GET", "/jobs")
            answer = connection.getresponse()
            body = answer.read()
            return Visit(sent, time.monotonic(), answer.status, answer.headers.get("Retry-After", ""), body)
        except (OSError, http.client.HTTPException):
            return Visit(sent, time.monotonic(), 0, "", b"")
        finally:
            connection.close()


@contextlib.contextmanager
def visiting(url: str) -> Iterator[Visitors]:
    visitors = Visitors(url)
    thread = threading.Thread(target=visitors.run, daemon=True)
    thread.start()
    try:
        yield visitors
    finally:
        visitors.stop()
        thread.join(10)
