"""Inventories and fleets for tests of plans, which need no host: built of what a file would hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dojo_deploy.config import inventory_from_document
from dojo_deploy.inventory import Inventory
from dojo_deploy.release import HostSeen, Known, Observed, Release

OLD = Release("old-1111", "1111", "v1")
NEW = Release("new-2222", "2222", "v2", sha256="ab" * 32, size=1000)


def site(hosts: int = 3, *, balancer: Any = None, kind: str = "pm2", mode: str = "cluster", **more: Any) -> Inventory:
    """`hosts` web hosts behind one balancer."""
    document: dict[str, Any] = {
        "app": {
            "name": "tcgdojo",
            "environment": "test",
            "root": "/srv/tcgdojo",
            "shared": ["logs/", "config.json"],
            "processes": {"kind": kind, "web": {"script": "server.js", "port": 3000, "mode": mode}},
        },
        "hosts": {"web": [f"web{number}" for number in range(1, hosts + 1)], "lb": ["lb1"]},
        "balancer": balancer or {"kind": "nginx", "hosts": "lb", "url": "http://127.0.0.1"},
        "store": "/var/lib/dojo",
        **more,
    }
    return inventory_from_document(document)


def fleet(inventory: Inventory, *, release: Release = OLD, **changes: Mapping[str, Any]) -> Observed:
    """Every host runs `release` in good health; `changes` are per host, over its HostSeen."""
    return Observed(
        hosts={
            host.name: HostSeen(
                **{
                    "host": host.name,
                    "current": {"blue": release.id} if release.id else {},
                    "running": {"blue/web": (release.id,)} if release.id else {},
                    "releases": (release.id,) if release.id else (),
                    "sha256": {release.id: "cd" * 32} if release.id else {},
                    "free": 10**12,
                    "drained": not release.id,
                    **changes.get(host.name, {}),
                }
            )
            for host in inventory.group("web")
        },
        known=(Known(release.id, release.commit, release.ref, passed="2026-01-01T00:00:00Z"),) if release.id else (),
    )
