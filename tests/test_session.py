"""A session closes all that it opened, whoever is still about to open more."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from dojo_deploy.config import inventory_from_document
from dojo_deploy.errors import DojoError
from dojo_deploy.session import OpenSession


def test_a_session_can_be_closed_while_it_still_connects(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    hosts = [{"name": f"h{number}", "address": f"127.0.1.{number}", "root": "/srv/shop"} for number in range(1, 200)]
    document = {
        "app": {"name": "shop", "environment": "test", "root": "/srv/shop"},
        "hosts": {"web": hosts},
        "balancer": "none",
        "store": {"kind": "directory", "path": str(tmp_path / "store")},
        "ssh": {"port": 1, "known_hosts": str(tmp_path / "known_hosts"), "lanes": 50},
    }
    site = inventory_from_document(document, path=tmp_path / "test.yml")
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
