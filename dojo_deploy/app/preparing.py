"""Bare hosts made ready, once, with an administrator's account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dojo_deploy.app.sites import Site, read
from dojo_deploy.engine.executors import threads
from dojo_deploy.inventory import Host
from dojo_deploy.patterns import matching
from dojo_deploy.readings import Preparation
from dojo_deploy.runs.begin import site_lanes
from dojo_deploy.session import opened
from dojo_deploy.setup.host import preparations
from dojo_deploy.setup.run import Prepared, prepare


def setup(
    inventory: Site = None, *, user: str, key: str = "", limit: str = "", dry: bool = False
) -> tuple[Prepared, ...]:
    """What each host lacks is done there by `user`, who is root or may use sudo without a password.

    `key` is the administrator's; empty: that of the inventory, and the agent's. A `dry` one changes nothing.
    Raises ConfigError.
    """
    from dojo_deploy.transports.keys import public_lines

    site = read(inventory)
    keys = {host.name: public_lines(host.ssh) for host in site.hosts.values()}
    names = matching(limit, tuple(site.hosts), site.groups, site.path) if limit else set(site.hosts)
    admins = {
        name: replace(host, ssh=replace(host.ssh, user=user, key=key or host.ssh.key, agent=True))
        for name, host in site.hosts.items()
    }
    kind = site.app.processes.kind
    words = {*(kind.programs(site.app.processes) if kind else ()), *getattr(site.balancer, "nginx", "").split()[-1:]}

    def wanted(host: Host, programs: dict[str, str]) -> Iterable[Preparation]:
        return preparations(site, site.hosts[host.name], programs, keys[host.name])

    with opened(replace(site, hosts=admins)) as session, threads(site_lanes(session)) as executor:
        hosts = [host for host in admins.values() if host.name in names]
        return prepare(session, executor, hosts, sorted(words), wanted, dry=dry)
