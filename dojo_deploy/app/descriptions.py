"""What is configured, resolved; and what could be. Nothing is asked of any host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dojo_deploy.app.sites import Site, read
from dojo_deploy.config import find_inventory, strategy_folders, unbind
from dojo_deploy.configuration.described import Description, describe
from dojo_deploy.configuration.document import read as read_file
from dojo_deploy.configuration.finding import stems
from dojo_deploy.configuration.problems import located, quoted, suggestion
from dojo_deploy.configuration.resolve import is_outside, kinds_of, resolve
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Balancer, Database, Notifier, Probe, StoreKind
from dojo_deploy.inventory import App, Host, Inventory
from dojo_deploy.naming import find_file
from dojo_deploy.release import Layout


def resolved(inventory: Site = None) -> dict[str, Any]:
    """Every key with the value that holds, defaults included; secrets are the references that they are."""
    site = read(inventory)
    return {
        "file": site.path,
        "app": unbind(site.app, App),
        "groups": {name: list(members) for name, members in site.groups.items()},
        "hosts": {name: _host(host) for name, host in site.hosts.items()},
        "web": site.web,
        "colours": dict(site.colours),
        "balancer": unbind(site.balancer, Balancer),
        "store": unbind(site.store, StoreKind),
        "database": unbind(site.database, Database | None),
        "notifiers": unbind(site.notifiers, Mapping[str, Notifier]),
        "probes": unbind(site.probes, Mapping[str, Probe]),
        "lock": unbind(site.lock),
        "strategies": {name: dict(keys) for name, keys in site.strategies.items()},
        "url": site.url,
        "probe": site.probe,
    }


def resolved_host(name: str, inventory: Site = None) -> dict[str, Any]:
    """One host: how it is reached, what listens where, and where things lie on it. Raises ConfigError."""
    site = read(inventory)
    if name not in site.hosts:
        raise ConfigError(f"no host {quoted(name)}; {suggestion(name, site.hosts)}", where=site.path)
    host, layout = site.hosts[name], Layout(site.hosts[name].root)
    paths = {"releases": layout.releases, "shared": layout.shared, "current": layout.current(), "state": layout.state}
    return {**_host(host), "paths": paths if host.root else {}}


def graph(inventory: Site = None) -> tuple[str, ...]:
    """Groups and their hosts as a tree, with what each group is for."""
    site = read(inventory)
    lines = [f"{site.app.environment} of {site.app.name} ({site.path})"]
    for number, (group, members) in enumerate(site.groups.items(), 1):
        last = number == len(site.groups)
        uses = _uses(site, group)
        lines.append(f"{'└─' if last else '├─'} {group}{f'  ({uses})' if uses else ''}")
        for place, name in enumerate(members, 1):
            host = site.hosts[name]
            at = f"  {host.address}" if host.address != name else ""
            lines.append(f"{'   ' if last else '│  '}{'└─' if place == len(members) else '├─'} {name}{at}")
    return tuple(lines)


def strategies(name: str = "", inventory: Site = None) -> tuple[Description, ...]:
    """Our kinds, and what files in `strategies/` name: each class with its keys. Raises ConfigError."""
    folders = _folders(inventory)
    known = list(dict.fromkeys((*kinds_of("strategies"), *stems(folders))))
    if name and name not in known and not is_outside(name):
        raise ConfigError(f"no strategy {quoted(name)}; {suggestion(name, known)}", key="-s")
    return tuple(_described(each, folders) for each in ([name] if name else known))


def _described(name: str, folders: list[Path]) -> Description:
    file = None if is_outside(name) else find_file(name, folders)
    kind = read_file(file).entries.get("strategy") if file else None
    target = kind.value if kind and isinstance(kind.value, str) else name
    try:
        cls = resolve("strategies", target)
        return describe(name, cls)
    except ConfigError as exc:
        raise (located(exc, kind, ("strategy",)) if kind else exc) from exc
    except NameError as exc:
        raise ConfigError(f"{target} cannot be described: {exc}", key="strategy") from exc


def _folders(inventory: Site) -> list[Path]:
    """Beside the inventory that is meant, if there is one: a sandbox that is down has strategies, too."""
    if inventory and not isinstance(inventory, str | Path):
        return strategy_folders(read(inventory))
    try:
        beside = find_inventory(str(inventory) if inventory else None).parent.parent
    except ConfigError:
        if inventory:
            raise
        beside = Path()
    return list(dict.fromkeys((beside / "strategies", Path("strategies"))))


def _uses(site: Inventory, group: str) -> str:
    uses = ["releases"] if group == site.web else []
    uses += [colour for colour, named in site.colours.items() if named == group]
    uses += ["balancer"] if getattr(site.balancer, "hosts", None) == group else []
    return ", ".join(uses)


def _host(host: Host) -> dict[str, Any]:
    return dict(unbind(host))
