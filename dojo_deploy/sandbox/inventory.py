"""`sandbox: {hosts: 3}` -> the whole inventory of the fleet that is up, in the very form that a person would write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dojo_deploy.errors import ConfigError

from . import start, state
from .files import write_secret
from .fleet import ENVIRONMENT
from .layout import Layout, cache

OPTIONS = ("hosts", "app", "home", "store")
# A fleet on one machine starts within seconds, and whoever waits for a demonstration should not wait for a bake.
PACE = {
    "gate": {
        "probes": ["release", "health", "database"],
        "every": "200ms",
        "grace": "3s",
        "within": "20s",
        "in_a_row": 3,
    },
    "bake": {"first": "3s", "each": "0s", "last": "0s"},
}


class SandboxDownError(ConfigError):
    """There is no fleet yet; `deploy` makes one, everything else says how to."""


def home(inventory: Path, options: Mapping[str, Any]) -> Path:
    """Where the fleet of this inventory lives."""
    base = inventory.resolve().parent
    base = base.parent if base.name == "inventories" else base
    return (base / options["home"]) if options.get("home") else base / ".dojo" / "sandbox"


def bring_up(inventory: Path, options: Mapping[str, Any]) -> None:
    """Starts what does not run of the inventory's fleet. Raises ConfigError on a machine that cannot have one."""
    folder, app = home(inventory, options), str(options.get("app", "tcgdojo"))
    known = state.load(Layout(folder))
    apps = [entry["name"] for entry in known["apps"]] if known else []
    start.up(folder, hosts=int(options.get("hosts", 3)), apps=[*apps, *([] if app in apps else [app])])


def document(inventory: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The inventory's document. Raises SandboxDownError when there is no fleet, ConfigError for an unknown option."""
    unknown = [key for key in options if key not in OPTIONS]
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]}", hint=f"keys of sandbox: {', '.join(OPTIONS)}")
    name = str(options.get("app", "tcgdojo"))
    layout = Layout(home(inventory, options).resolve())
    found = state.load(layout)
    if found is None or name not in [app["name"] for app in found["apps"]]:
        raise SandboxDownError("the sandbox is not up", hint="invoke sandbox.up")
    return _document(layout, found, name, str(options.get("store", "s3")))


def _document(layout: Layout, found: Mapping[str, Any], name: str, store: str) -> dict[str, Any]:
    app = next(entry for entry in found["apps"] if entry["name"] == name)
    tools = found["tools"]["bin"]
    web = [host for host in found["hosts"] if host["group"] == "web"]
    balancer = next(host for host in found["hosts"] if host["group"] == "lb")
    return {
        "app": {
            "name": name,
            "environment": ENVIRONMENT,
            "source": {"repository": app["repository"]},
            "build": {
                "run": ["npm ci --no-audit --no-fund", "npm test", "npm run build"],
                "env": {
                    "PATH": f"{tools}:{os.defpath}",
                    "npm_config_cache": str(cache() / "npm"),
                    "npm_config_prefer_offline": "true",
                },
            },
            "shared": ["logs/"],
            "env": {"NODE_ENV": "production"},
            "env_file": {"file": str(_environment(layout, found, app))},
            "processes": {
                "kind": "pm2",
                "web": {"script": "server.js", "instances": 1, "ports": _ports(web[0], name)},
                "worker": {"script": "worker.js", "instances": 1},
            },
            "health": "/health",
            "keep": 5,
        },
        "hosts": {
            "web": [_host(host, name) | {"ports": {"web": _ports(host, name)}} for host in web],
            "lb": [_host(balancer, name)],
        },
        "balancer": {
            "kind": "nginx",
            "hosts": "lb",
            "include": found["nginx"]["include"],
            "url": app["url"],
        },
        "url": app["url"],
        "probe": 400,
        "probes": {"database": {"kind": "http", "path": "/api/database/health"}},
        "store": _store(found, store, layout),
        "database": _database(found, app, web[0]["name"]),
        "lock": {"ttl": "5s"},
        "ssh": {"user": found["ssh"]["user"], "key": found["ssh"]["key"], "known_hosts": found["ssh"]["known_hosts"]},
        "strategies": {
            "rolling": {**PACE, "migrate": {"run": "npm run --silent migrate", "deadline": "60s"}},
            "blue-green": {
                "gate": PACE["gate"],
                "watch": "3s",
                "settle": "10s",
                "migrate": {"run": "npm run --silent migrate", "deadline": "60s"},
            },
            "rollback": {"gate": PACE["gate"], "settle": "10s"},
            "restart": {"gate": PACE["gate"]},
            "maintenance": {"gate": PACE["gate"], "watch": "3s"},
        },
    }


def _host(host: Mapping[str, Any], app: str) -> dict[str, Any]:
    root = Path(host["home"]) / "srv" / f"{app}-{ENVIRONMENT}"
    return {"name": host["name"], "address": host["address"], "port": host["port"], "root": str(root)}


def _ports(host: Mapping[str, Any], app: str) -> dict[str, int]:
    return dict(host["slots"][app])


def _environment(layout: Layout, found: Mapping[str, Any], app: Mapping[str, Any]) -> Path:
    """The app's own secrets, as an operator would keep them: a 0600 file of KEY=value lines."""
    postgres = found["postgres"]
    password = Path(postgres["password_file"]).read_text().strip()
    place = f"{postgres['host']}:{postgres['port']}/{app['database']}"
    path = layout.secrets / f"{app['name']}.env"
    write_secret(
        path, f"DATABASE_URL=postgresql://{postgres['user']}:{password}@{place}\nREDIS_URL={app['redis_url']}\n"
    )
    return path


def _database(found: Mapping[str, Any], app: Mapping[str, Any], host: str) -> dict[str, Any]:
    postgres = found["postgres"]
    return {
        "kind": "postgres",
        "name": app["database"],
        "host": host,
        "address": postgres["host"],
        "port": postgres["port"],
        "user": postgres["user"],
        "password": {"file": postgres["password_file"]},
        "migrations": "migrations",
    }


def _store(found: Mapping[str, Any], kind: str, layout: Layout) -> dict[str, Any]:
    if kind == "host":
        return {"kind": "host"}
    if kind == "directory":
        return {"kind": "directory", "path": str(layout.home / "store")}
    s3 = found["s3"]
    return {
        "kind": "s3",
        "bucket": s3["bucket"],
        "prefix": "deploy",
        "endpoint": s3["endpoint"],
        "region": "us-east-1",
        "access_key": {"file": s3["access_key_file"]},
        "secret_key": {"file": s3["secret_key_file"]},
    }
