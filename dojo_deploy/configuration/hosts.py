"""The `hosts:` section -> Host: ranges, several groups, and what a host has of its own."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as File

from dojo_deploy.configuration.bind import bind
from dojo_deploy.configuration.problems import Gathering, Path, located, problem, quoted
from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.patterns import expand

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,252}")
ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:_%-]{0,252}")
RESERVED = ("all", "controller", "local")
MOST = 5000


@dataclass(frozen=True)
class Entry:
    """Keys of a host that is written as a mapping; every key of `ssh:` may stand there as well."""

    name: str
    address: str = ""
    root: str = ""
    upstream: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ssh: Ssh = field(default=Ssh(), metadata={"rest": True})


@dataclass(frozen=True)
class Found:
    """One host of one group, before the groups are put together; `own` is empty for a host that is only named."""

    name: str
    group: str
    entry: Entry
    own: object
    node: Node
    path: Path


def read_hosts(
    section: Node, ssh: Node, *, root: str, folder: File
) -> tuple[Mapping[str, Host], Mapping[str, tuple[Node, Path]]]:
    """Hosts by name, in the order in which they first stand there, and where each is described.

    `Host.ports` holds what the file says, no more.
    """
    if not isinstance(section.value, Mapping):
        raise problem(section, ("hosts",), "wants groups of hosts, like {web: [web1, web2]}")
    gathering, hosts, said = Gathering(), dict[str, Host](), dict[str, Found]()
    for found in _each(section, ssh, gathering):
        with gathering.part():
            known = hosts.get(found.name)
            if known and found.own and said[found.name].own and found.own != said[found.name].own:
                first = said[found.name].node.line
                raise problem(found.node, found.path, f"{found.name} is described differently on line {first}")
            if known and found.group in known.groups:
                raise problem(found.node, found.path, f"{found.name} stands twice in the group {found.group}")
            groups = (*known.groups, found.group) if known else (found.group,)
            if known and not found.own:
                hosts[found.name] = replace(known, groups=groups)
                continue
            hosts[found.name] = _host(found, groups, root, folder, frozenset(ssh.entries))
            said[found.name] = found
    gathering.end()
    _refuse_twins(hosts, said)
    return hosts, {name: (found.node, found.path) for name, found in said.items()}


def check_name(node: Node, path: Path, name: str, what: str) -> None:
    """Raises ConfigError for what would not be safe, or not be clear, in paths, unit names and patterns."""
    if not NAME.fullmatch(name):
        lower = name.lower().replace(" ", "-")
        hint = f"; write {lower}" if NAME.fullmatch(lower) else ""
        message = f"{quoted(name)} is no name for {what}: a-z, 0-9, dot, dash and underscore, a letter or digit first"
        raise problem(node, path, message + hint)
    if name in RESERVED:
        raise problem(node, path, f"{quoted(name)} has a meaning of its own and cannot name {what}")


def local_file(name: str, folder: File) -> str:
    """A key or known_hosts file: relative to the inventory's folder."""
    return str((folder / File(name).expanduser()).absolute()) if name else ""


def _each(section: Node, ssh: Node, gathering: Gathering) -> Iterator[Found]:
    for group, members in section.entries.items():
        path: Path = ("hosts", group)
        with gathering.part():
            check_name(members, path, group, "a group")
        if not isinstance(members.value, tuple):
            got = "nothing" if members.value is None else "something else"
            gathering.found.append(problem(members, path, f"wants a list of hosts like [web1, web2], got {got}"))
            continue
        for number, item in enumerate(members.value):
            inner = (*path, f"[{number}]")
            with gathering.part():
                yield from _entries(item, ssh, group, inner)


def _entries(item: Node, ssh: Node, group: str, path: Path) -> list[Found]:
    if isinstance(item.value, Mapping):
        entry = bind(item.over(ssh), Entry, path=path)
        own = item.without("name").plain()
    elif isinstance(item.value, str) and item.value:
        entry, own = bind(ssh.with_entry(("name",), item), Entry, path=path), {}
    else:
        raise problem(item, path, "wants a name like web1 or web[01:04], or a mapping like {name: web1, address: …}")
    names = _expanded(item, path, entry.name)
    addresses = _expanded(item, path, entry.address) if entry.address else names
    if len(addresses) != len(names):
        raise problem(item, path, f"{len(names)} names, and {len(addresses)} addresses")
    if len(names) > 1 and entry.upstream:
        raise problem(item, (*path, "upstream"), "is one address, for several hosts")
    for name, address in zip(names, addresses, strict=True):
        where = item.at("name") if isinstance(item.value, Mapping) else item
        if "@" in name:
            raise problem(where, path, f"{quoted(name)} is no name; write {{name: …, address: …, user: …}}")
        check_name(where, path, name, "a host")
        if not ADDRESS.fullmatch(address):
            raise problem(item.at("address"), (*path, "address"), f"{quoted(address)} is no host name and no address")
    return [
        Found(name, group, replace(entry, name=name, address=address), own, item, path)
        for name, address in zip(names, addresses, strict=True)
    ]


def _expanded(item: Node, path: Path, text: str) -> tuple[str, ...]:
    ranges = re.findall(r"\[([^\[\]:]*):([^\[\]:]*)", text)
    count = math.prod(
        max(1, int(last) - int(first)) if re.fullmatch("[0-9]{1,9}/[0-9]{1,9}", f"{first}/{last}") else 58
        for first, last in ranges
    )
    if count > MOST or text.count("[") > 3 or re.search("[0-9]{10}.*:", text):
        raise problem(item, path, f"{quoted(text)} would be more than {MOST} hosts")
    try:
        return expand(text)
    except ConfigError as exc:
        raise located(exc, item, path) from exc


def _host(found: Found, groups: tuple[str, ...], root: str, folder: File, said: frozenset[str]) -> Host:
    entry, node, path = found.entry, found.node, found.path
    at = posixpath.normpath(entry.root or root) if entry.root or root else ""
    if not at:
        raise problem(node, (*path, "root"), "is missing; give app.root, or a root for this host")
    if not re.fullmatch(r"/[^\s\0]+", at) or ".." in at.split("/"):
        raise problem(node.at("root"), (*path, "root"), f"{quoted(at)} is not an absolute path like /srv/app")
    if entry.upstream and not ADDRESS.fullmatch(entry.upstream):
        raise problem(node.at("upstream"), (*path, "upstream"), f"{quoted(entry.upstream)} is no address")
    check_ssh(entry.ssh, node, path)
    files = {name: local_file(getattr(entry.ssh, name), folder) for name in ("key", "known_hosts", "config")}
    ssh = replace(entry.ssh, **files)  # type: ignore[arg-type]
    host = Host(entry.name, groups, entry.address, at, ssh, entry.upstream, entry.ports, entry.labels)
    return _configured(host, found, said | set(node.entries)) if ssh.config else host


def _configured(host: Host, found: Found, said: frozenset[str]) -> Host:
    from dojo_deploy.transports.ssh_config import configured

    try:
        host = configured(host, said)
    except (ConfigError, ValueError) as exc:
        error = exc if isinstance(exc, ConfigError) else ConfigError(str(exc))
        raise located(error, found.node, found.path) from exc
    check_ssh(host.ssh, found.node, found.path)
    if not ADDRESS.fullmatch(host.address):
        message = f"{quoted(host.address)}, as {host.ssh.config} has it, is no host name and no address"
        raise problem(found.node, found.path, message)
    return host


def check_ssh(ssh: Ssh, node: Node, path: Path) -> None:
    """Raises ConfigError for values that no connection can be made with."""
    if not 1 <= ssh.port <= 65535:
        raise problem(node.at("port"), (*path, "port"), f"{ssh.port} is no port; 1 to 65535")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", ssh.user):
        raise problem(node.at("user"), (*path, "user"), f"{quoted(ssh.user)} is no user's name")
    if ssh.lanes < 1:
        raise problem(node.at("lanes"), (*path, "lanes"), "wants 1 or more hosts at once")
    for name in ("connect_within", "dead_after", "reach_within"):
        if getattr(ssh, name) <= 0:
            raise problem(node.at(name), (*path, name), "wants more than no time at all")


def _refuse_twins(hosts: Mapping[str, Host], said: Mapping[str, Found]) -> None:
    seen: dict[tuple[str, str, int, str], str] = {}
    gathering = Gathering()
    for name, host in hosts.items():
        place = (host.ssh.gateway, host.address.lower(), host.ssh.port, host.root)
        twin = seen.setdefault(place, name)
        if twin != name:
            message = f"{name} and {twin} are the same {host.address}:{host.ssh.port} and the same root {host.root}"
            gathering.found.append(problem(said[name].node, said[name].path, message))
    gathering.end()
