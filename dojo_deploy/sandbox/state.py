"""state.json: everything somebody else needs to know about a sandbox. Secrets are named by path."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from dojo_deploy.errors import ConfigError

from . import toolchain
from .files import write_secret
from .fleet import ENVIRONMENT, USER, Fleet
from .layout import VERSION, Layout
from .nginx_site import upstream_file
from .proc import Process
from .services.postgres import ROLE
from .services.s3 import BUCKET


def load(layout: Layout) -> dict[str, Any] | None:
    """The state as written; None where no sandbox was made yet. Raises ConfigError for another version's."""
    try:
        state: dict[str, Any] = json.loads(layout.state.read_text())
    except FileNotFoundError:
        return None
    if state["version"] != VERSION:
        raise ConfigError(
            f"this sandbox was made by another version ({state['version']}, not {VERSION})",
            where=str(layout.state), hint="end it with that version, or remove the folder",
        )  # fmt: skip
    return state


def save(layout: Layout, fleet: Fleet, services: dict[str, Process]) -> dict[str, Any]:
    state = describe(layout, fleet, services)
    write_secret(layout.state, json.dumps(state, indent=2) + "\n")
    return state


def describe(layout: Layout, fleet: Fleet, services: dict[str, Process]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "home": str(layout.home),
        "environment": ENVIRONMENT,
        "hosts": [
            {
                "name": host.name,
                "group": host.group,
                "address": "127.0.0.1",
                "port": host.port,
                "user": USER,
                "home": str(layout.host(host.name)),
                "slots": {app: dict(slots) for app, slots in host.slots.items()},
            }
            for host in fleet.hosts
        ],
        "apps": [
            {
                "name": app.name,
                "repository": str(layout.repository(app.name)),
                "url": f"http://127.0.0.1:{app.listen}",
                "listen": app.listen,
                "upstream": app.upstream,
                "database": app.database,
                "redis_url": _redis(fleet, app.number),
            }
            for app in fleet.apps
        ],
        "nginx": {
            "host": "lb1",
            "listen": {app.name: app.listen for app in fleet.apps},
            "conf": str(layout.nginx / "nginx.conf"),
            "include": str(layout.nginx / "dojo"),
            "upstreams": {app.name: str(upstream_file(layout.nginx, app)) for app in fleet.apps},
        },
        "ssh": {"key": str(layout.key), "known_hosts": str(layout.known_hosts), "user": USER},
        "postgres": {
            "host": "127.0.0.1",
            "port": fleet.ports["postgres"],
            "user": ROLE,
            "database": fleet.apps[0].database,
            "password_file": str(layout.secrets / f"postgres-{ROLE}"),
            "bin": str(toolchain.postgres()),
        },
        "redis": {"url": _redis(fleet, 0)},
        "s3": {
            "endpoint": f"http://127.0.0.1:{fleet.ports['s3']}",
            "bucket": BUCKET,
            "access_key_file": str(layout.secrets / "s3-access-key"),
            "secret_key_file": str(layout.secrets / "s3-secret-key"),
        },
        "tools": {"bin": str(layout.bin)},
        "ports": dict(fleet.ports),
        "services": {name: asdict(process) for name, process in services.items()},
    }


def _redis(fleet: Fleet, number: int) -> str:
    return f"redis://127.0.0.1:{fleet.ports['redis']}/{number}"
