"""Many connections at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.inventory import Host
from dojo_deploy.transports.ssh import Gateways


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_connections_made_at_once_do_not_see_each_others_settings() -> None:
    gateways, host = Gateways(SystemClock()), Host("web1", ("web",), "127.0.0.1", "/srv/app")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: gateways.connection(host), range(400)))
    assert {connection.host for connection in made} == {"127.0.0.1"}
