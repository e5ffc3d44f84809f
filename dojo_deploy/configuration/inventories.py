"""Inventory files -> Inventory, and the plain document of one -> the same Inventory, on whatever machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dojo_deploy.configuration.bind import bind
from dojo_deploy.configuration.document import read
from dojo_deploy.configuration.hosts import check_name, check_ssh, read_hosts
from dojo_deploy.configuration.ports import Place, ports_of, refuse_collisions, slots_of
from dojo_deploy.configuration.problems import Gathering, problem, quoted, suggestion
from dojo_deploy.configuration.references import check_references
from dojo_deploy.configuration.sandboxed import with_sandbox
from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Balancer, Database, Notifier, Probe, StoreKind
from dojo_deploy.inventory import BLUE, GREEN, App, Host, Inventory, LockSettings, Ssh


@dataclass(frozen=True)
class Sections:
    """The keys of an inventory file."""

    app: App
    hosts: Node
    balancer: Balancer
    store: StoreKind
    probes: Mapping[str, Probe]
    web: str = "web"
    colours: Mapping[str, str] = field(default_factory=dict)
    ssh: Ssh = Ssh()
    database: Database | None = None
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    lock: LockSettings = LockSettings()
    strategies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    url: str = ""
    probe: float = 0.0


def load_inventory(path: str | Path, *, environment: str = "") -> Inventory:
    """The inventory in a file; the environment is `environment`, `app.environment`, or the file's stem.

    Raises ConfigError, with a line per problem (five at most).
    """
    file = Path(path)
    node = with_sandbox(_with_base(read(file), file), file)
    app = node.at("app")
    if app is not node and isinstance(app.value, Mapping) and (environment or "environment" not in app.entries):
        name = environment or file.stem
        node = node.with_entry(("app", "environment"), Node(name, app.file, app.line, text=name))
    return _inventory(node, file)


def inventory_from_document(document: Mapping[str, object], *, path: str | Path = "") -> Inventory:
    """The inventory whose `document` this is; relative files are looked for beside `path`. Raises ConfigError."""
    return _inventory(Node.of(document, file=str(path)), Path(path))


def _with_base(node: Node, file: Path) -> Node:
    if "extends" not in node.entries:
        return node
    named = node.at("extends")
    if not isinstance(named.value, str) or not named.value or not named.value.isprintable():
        raise problem(named, ("extends",), "wants the name of a file beside this one, like common.yml")
    try:
        base = read(file.parent / named.value)
    except ConfigError as exc:
        if "cannot be read" in exc.message:
            raise problem(named, ("extends",), exc.message) from exc
        raise
    if "extends" in base.entries:
        raise problem(base.at("extends"), ("extends",), f"is one level deep, and {file.name} extends this file already")
    return node.without("extends").over(base)


def _inventory(node: Node, file: Path) -> Inventory:
    sections = bind(_with_defaults(node).within(str(file.parent.absolute()) if node.file else ""), Sections)
    app, gathering = sections.app, Gathering()
    with gathering.part():
        check_ssh(sections.ssh, node.at("ssh"), ("ssh",))
    with gathering.part():
        _check_app(app, node)
    with gathering.part():
        _check_rest(sections, node)
    hosts: Mapping[str, Host] = {}
    places: Mapping[str, Place] = {}
    with gathering.part():
        ssh = node.at("ssh") if "ssh" in node.entries else Node({}, node.file)
        hosts, places = read_hosts(sections.hosts, ssh, root=app.root, folder=file.parent)
    gathering.end()
    groups = {
        group: tuple(host.name for host in hosts.values() if group in host.groups) for group in sections.hosts.entries
    }
    with gathering.part():
        _check_web(sections.web, groups, node)
        _check_colours(sections, groups, node)
    with gathering.part():
        check_references(app, sections.balancer, sections.database, hosts, groups, sections.web, node)
    with gathering.part():
        hosts = _with_ports(hosts, places, sections)
    gathering.end()
    return Inventory(
        app=app,
        hosts=hosts,
        groups=groups,
        store=sections.store,
        balancer=sections.balancer,
        web=sections.web,
        colours=sections.colours,
        probes=sections.probes,
        database=sections.database,
        notifiers=sections.notifiers,
        lock=sections.lock,
        strategies=sections.strategies,
        url=sections.url,
        probe=sections.probe,
        path=str(file) if node.file else "",
        document=node.plain(),
    )


def _with_defaults(node: Node) -> Node:
    def default(*path: str, value: object) -> None:
        nonlocal node
        if path[-1] not in node.at(*path[:-1]).entries:
            node = node.with_entry(path, replace(Node.of(value, file=node.file), line=node.at(*path[:-1]).line))

    default("balancer", value="none")
    default("store", value="host")
    if "probes" not in node.entries or isinstance(node.at("probes").value, Mapping):
        health = node.at("app", "health")
        path = health.value if "health" in node.at("app").entries else App.health
        default("probes", value={})
        default("probes", "release", value={"kind": "release"})
        asked = {"kind": "http", "path": path if isinstance(path, str) else App.health}
        # Nobody can be asked where nothing listens: a static site, or workers alone, are judged by what runs.
        default("probes", "health", value=asked if _listens(node) else {"kind": "release"})
    return node


def _listens(node: Node) -> bool:
    """Whether any process has a port; hosts may only change one that there is."""
    processes = node.at("app").entries.get("processes")
    each = processes.entries.values() if processes and isinstance(processes.value, Mapping) else ()
    return any({"port", "ports"} & set(one.entries) for one in each if isinstance(one.value, Mapping))


def _check_app(app: App, node: Node) -> None:
    gathering = Gathering()
    for key, what in (("name", "an app"), ("environment", "an environment")):
        with gathering.part():
            check_name(node.at("app", key), ("app", key), getattr(app, key), what)
    for name, process in app.processes.each.items():
        at = node.at("app", "processes", name)
        with gathering.part():
            check_name(at, ("app", "processes", name), name, "a process")
            slots_of(process, {}, at.at("ports"), ("app", "processes", name, "ports"))
        if process.instances < 1:
            message = "wants 1 or more; leave the process out instead"
            gathering.found.append(problem(at.at("instances"), ("app", "processes", name, "instances"), message))
    if app.processes.each and app.processes.kind is None:
        message = "is missing; write `kind: pm2` beside the processes"
        gathering.found.append(problem(node.at("app", "processes"), ("app", "processes", "kind"), message))
    if app.keep < 1:
        gathering.found.append(problem(node.at("app", "keep"), ("app", "keep"), "wants 1 or more releases"))
    if not app.health.startswith("/"):
        gathering.found.append(problem(node.at("app", "health"), ("app", "health"), "wants a path like /health"))
    gathering.end()


def _check_web(web: str, groups: Mapping[str, tuple[str, ...]], node: Node) -> None:
    if web not in groups:
        key = ("web",) if "web" in node.entries else ("hosts", web)
        raise problem(node.at(*key), key, f"no group {web}, where releases go; {suggestion(web, groups)}")
    if not groups[web]:
        raise problem(
            node.at("hosts", web), ("hosts", web), "is empty; releases go to the hosts of this group, like [web1, web2]"
        )


def _check_colours(sections: Sections, groups: Mapping[str, tuple[str, ...]], node: Node) -> None:
    if not sections.colours:
        return
    at = node.at("colours")
    if set(sections.colours) != {BLUE, GREEN}:
        raise problem(at, ("colours",), "wants two groups like {blue: left, green: right}")
    for colour, group in sections.colours.items():
        if not groups.get(group):
            raise problem(at.at(colour), ("colours", colour), f"no group {quoted(group)}; {suggestion(group, groups)}")
    blue, green = (set(groups[sections.colours[colour]]) for colour in (BLUE, GREEN))
    for host in (*groups[sections.web], *blue, *green):
        both, neither = host in blue & green, host not in blue | green
        if both or neither or host not in groups[sections.web]:
            named = " and ".join(sections.colours.values())
            found = f"is in {'both' if both else 'neither'}" if both or neither else f"is not in {sections.web}"
            wanted = f"wants each host of the group {sections.web} in one of {named}, and no other"
            raise problem(at, ("colours",), f"{wanted}; {host} {found}")


def _check_rest(sections: Sections, node: Node) -> None:
    if sections.lock.ttl <= 0:
        raise problem(node.at("lock", "ttl"), ("lock", "ttl"), "wants more than no time at all")
    if sections.url and not re.fullmatch(r"https?://[^\s/]+\S*", sections.url):
        raise problem(node.at("url"), ("url",), "wants the site's address like https://example.org")


def _with_ports(hosts: Mapping[str, Host], places: Mapping[str, Place], sections: Sections) -> dict[str, Host]:
    gathering, placed = Gathering(), dict[str, Host]()
    for name, host in hosts.items():
        with gathering.part():
            placed[name] = replace(host, ports=ports_of(host, sections.app.processes.each, places[name]))
    gathering.end()
    refuse_collisions({name: host for name, host in placed.items() if sections.web in host.groups}, places)
    return placed
