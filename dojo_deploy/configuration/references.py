"""What other sections say of hosts and groups: that they are there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dojo_deploy.configuration.problems import Gathering, problem, quoted, suggestion
from dojo_deploy.configuration.tree import Node
from dojo_deploy.interfaces import Balancer, Database
from dojo_deploy.inventory import App


def check_references(
    app: App,
    balancer: Balancer,
    database: Database | None,
    hosts: Collection[str],
    groups: Mapping[str, tuple[str, ...]],
    web: str,
    node: Node,
) -> None:
    """Raises ConfigError, a line per name that is not there or has no host."""
    gathering = Gathering()
    with gathering.part():
        if app.build.on != "local" and app.build.on not in hosts:
            message = f"no host {quoted(app.build.on)}; {suggestion(app.build.on, ['local', *hosts])}"
            raise problem(node.at("app", "build", "on"), ("app", "build", "on"), message)
    for key in ("host", "via"):
        with gathering.part():
            name = getattr(database, key, "")
            if name and name not in hosts:
                message = f"no host {quoted(name)}; {suggestion(name, hosts)}"
                raise problem(node.at("database", key), ("database", key), message)
    used = (web, getattr(balancer, "hosts", None))
    for group, members in groups.items():
        if not members and group not in used:
            message = "is empty; name its hosts, or leave the group out"
            gathering.found.append(problem(node.at("hosts", group), ("hosts", group), message))
    with gathering.part():
        _check_balancer(getattr(balancer, "hosts", None), groups, node)
    gathering.end()


def _check_balancer(group: object, groups: Mapping[str, tuple[str, ...]], node: Node) -> None:
    """One on hosts of ours: a group without any would be a balancer that nobody ever changes."""
    if not isinstance(group, str):
        return
    if group not in groups:
        message = f"no group {quoted(group)}, where the balancer runs; {suggestion(group, groups)}"
        raise problem(node.at("balancer", "hosts"), ("balancer", "hosts"), message)
    if not groups[group]:
        message = "is empty; the balancer runs on the hosts of this group, like [lb1]"
        raise problem(node.at("hosts", group), ("hosts", group), message)
