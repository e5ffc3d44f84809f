from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy.balancers.nginx import Nginx
from dojo_deploy.prober import Prober

from .loads import Colours, RunningWrk
from .local import Load, LocalSession, RunningNginx, Upstream, inventory, pool

PAUSE = 0.6  # between two switches: the load is to see each colour


@pytest.fixture
def colours(tmp_path: Path) -> Iterator[Colours]:
    made = Colours(tmp_path / "colours")
    yield made
    made.stop()


@pytest.fixture(params=["nginx", "old_nginx"])
def site(request: pytest.FixtureRequest, colours: Colours) -> tuple[Nginx, LocalSession, str]:
    """Blue serves; by the nginx of PyPI, which switches by reload, and by Debian's, which switches by flag."""
    running: RunningNginx = request.getfixturevalue(request.param)
    running.start()
    settings = running.settings("shop-test")
    session = LocalSession(inventory("shop", settings))
    settings.switch(session, colours.blue, colours.green)
    settings.settle(session, 20.0)
    return settings, session, f"{settings.url}/"


@pytest.mark.parametrize(
    ("connections", "keep", "switches"),
    [
        pytest.param(40, True, 3, id="kept-alive"),
        pytest.param(10, False, 3, id="closing", marks=pytest.mark.soak),
        pytest.param(10, True, 20, id="often", marks=pytest.mark.soak),
        pytest.param(100, True, 20, id="crowd", marks=pytest.mark.soak),
    ],
)
def test_switches_there_and_back_and_there_lose_no_request_of_wrk(
    site: tuple[Nginx, LocalSession, str], colours: Colours, connections: int, keep: bool, switches: int
) -> None:
    settings, session, url = site
    load = RunningWrk(url, connections=connections, keep=keep)
    took = []
    try:
        for number in range(switches):
            time.sleep(PAUSE)
            to, away = (colours.blue, colours.green) if number % 2 else (colours.green, colours.blue)
            started = time.monotonic()
            settings.switch(session, to, away)
            took.append(time.monotonic() - started)
        time.sleep(PAUSE)
    finally:
        seen = load.result()
    assert seen.failed == 0, seen.said
    assert seen.requests > 5000
    assert settings.serving(session, (*colours.blue, *colours.green)) == set(to)
    print(f"{seen.requests} requests, {seen.failed} failed; {switches} switches took at most {max(took):.2f} s each")


def test_switches_there_and_back_and_there_lose_no_request_of_the_prober(
    site: tuple[Nginx, LocalSession, str], colours: Colours, tmp_path: Path
) -> None:
    settings, session, url = site
    prober = Prober.start(url, work=tmp_path / "load", header="X-Release", rate=1500, connections=24)
    try:
        for to, away in ((colours.green, colours.blue), (colours.blue, colours.green), (colours.green, colours.blue)):
            time.sleep(PAUSE)
            settings.switch(session, to, away)
        settings.settle(session, 20.0)
    finally:
        seen = prober.stop(at_least=5000)
    print(f"{seen.requests} requests, {seen.failures} failed, p95 {seen.p95_ms:.1f} ms")
    assert (seen.failures, seen.errors) == (0, {}) and seen.requests >= 5000
    assert set(seen.answers) == {"blue", "green"}
    assert settings.serving(session, (*colours.blue, *colours.green)) == set(colours.green)


def test_drain_and_restore_lose_no_request_and_a_drained_backend_sees_none(
    nginx: RunningNginx, upstreams: list[Upstream]
) -> None:
    nginx.start()
    settings = nginx.settings("shop-test")
    session = LocalSession(inventory("shop", settings))
    backends = pool(upstreams)
    for backend in backends:
        settings.restore(session, backend, backends)
    with Load(nginx.ports["shop-test"]) as load:
        load.until(500)
        for upstream, backend in zip(upstreams, backends, strict=True):
            started = time.monotonic()
            settings.drain(session, backend, backends)
            took = time.monotonic() - started
            before, requests = upstream.count, load.requests
            load.until(requests + 1000)
            assert upstream.count == before, f"{upstream.count - before} requests after the drain had returned"
            settings.restore(session, backend, backends)
            settles = time.monotonic() + 5
            while upstream.count == before and time.monotonic() < settles:
                time.sleep(0.01)
            assert upstream.count > before, "no share of the traffic 5 s after it was put back"
            print(f"drain {took:.2f} s, requests so far {load.requests}")
        load.until(5000)
    assert load.failures == []
    print(f"{load.requests} requests, {len(load.failures)} failed")
