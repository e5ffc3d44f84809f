"""One deadline for all of a request: every address of a name, the handshake, and the answer."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from dojo_deploy import http1
from dojo_deploy.clock import SystemClock


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A port of 127.0.0.1 that answers no connection: its queue is full."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]


def test_a_name_of_many_addresses_that_do_not_answer_takes_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with mute() as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 5
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()

        with pytest.raises(OSError, match="timed out"):
            http1.fetch_url(f"http://many.example.org:{port}/", clock=SystemClock(), within=0.5)

    assert time.monotonic() - began < 1.5


def test_the_second_address_is_asked_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = [("127.0.0.1", 1), server.getsockname()]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        with pytest.raises(OSError, match="timed out"):
            http1.fetch_url("http://two.example.org/", clock=SystemClock(), within=0.5)

        server.settimeout(1)
        with server.accept()[0] as asked:
            assert asked.recv(5) == b"GET /"


def test_a_server_that_accepts_and_never_shakes_hands_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        with pytest.raises(OSError):
            http1.fetch_url(f"https://127.0.0.1:{server.getsockname()[1]}/", clock=SystemClock(), within=0.5)
    assert time.monotonic() - began < 1.5
