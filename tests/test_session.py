"""A session closes all that it opened, whoever is still about to open more."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from dojo_deploy.config import inventory_from_document
from dojo_deploy.errors import DojoError, TransportError
from dojo_deploy.inventory import Inventory
from dojo_deploy.session import OpenSession


def site_of(tmp_path: Path, hosts: list[dict[str, str]]) -> Inventory:
    (tmp_path / "known_hosts").write_text("")
    document = {
        "app": {"name": "shop", "environment": "test", "root": "/srv/shop"},
        "hosts": {"web": hosts},
        "balancer": "none",
        "store": {"kind": "directory", "path": str(tmp_path / "store")},
        "ssh": {"port": 1, "known_hosts": str(tmp_path / "known_hosts"), "lanes": 50},
    }
    return inventory_from_document(document, path=tmp_path / "test.yml")


def test_a_session_that_turns_to_another_inventory_asks_no_host_that_has_moved(tmp_path: Path) -> None:
    here = {"name": "stays", "address": "127.0.1.1", "root": "/srv/shop"}
    moved = {"name": "moves", "address": "127.0.1.2", "root": "/srv/shop"}
    session = OpenSession(site_of(tmp_path, [here, moved]))
    stays, moves = session.shell("stays"), session.shell("moves")

    session.turn_to(site_of(tmp_path, [here, {**moved, "address": "127.0.1.3"}]))

    assert session.shell("stays") is stays
    assert session.shell("moves") is not moves and session.shell("moves").host.address == "127.0.1.3"
    session.close()
    with pytest.raises(TransportError, match="closed"):
        moves.open()


def test_a_session_can_be_closed_while_it_still_connects(tmp_path: Path) -> None:
    hosts = [{"name": f"h{number}", "address": f"127.0.1.{number}", "root": "/srv/shop"} for number in range(1, 200)]
    site = site_of(tmp_path, hosts)
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(5):
            session = OpenSession(site)
            session.warm(site.hosts)
            session.close()
            with contextlib.suppress(DojoError):
                session.shell("h1").open()
                raise AssertionError("a closed session connects")
    finally:
        sys.setswitchinterval(often)
