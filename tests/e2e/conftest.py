"""A real embedded fleet per test session, and what tests ask of it from outside: through SSH, and through nginx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dojo_deploy import sandbox
from dojo_deploy.sandbox.inventory import bring_up, home
from tests.e2e.colours import Colours
from tests.e2e.fleet import Fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three web hosts and a balancer, kept for the whole session; each test says what it needs deployed."""
    folder = tmp_path_factory.mktemp("fleet")
    inventory = folder / "inventories" / "sandbox.yml"
    inventory.parent.mkdir()
    inventory.write_text("sandbox: {hosts: 3}\n")
    bring_up(inventory, {"hosts": 3})
    try:
        yield Fleet(inventory)
    finally:
        sandbox.down(home(inventory, {}), destroy=True)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colours]:
    """Two web hosts and a balancer of their own: which colour serves there changes from test to test."""
    inventory = tmp_path_factory.mktemp("pair") / "inventories" / "sandbox.yml"
    inventory.parent.mkdir()
    inventory.write_text("sandbox: {hosts: 2}\n")
    bring_up(inventory, {"hosts": 2})
    try:
        yield Colours(inventory)
    finally:
        sandbox.down(home(inventory, {}), destroy=True)


@pytest.fixture
def site(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet with `v1` deployed and nothing open, whatever the test before did."""
    fleet.reset("v1")
    yield fleet
