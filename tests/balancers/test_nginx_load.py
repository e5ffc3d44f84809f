from __future__ import annotations

import time

from .local import Load, LocalSession, RunningNginx, Upstream, inventory, pool


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
