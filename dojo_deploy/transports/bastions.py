"""The machine that others are reached through."""

from __future__ import annotations

from dataclasses import replace

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.transports.known_hosts import SSH_PORT


def bastion(ssh: Ssh) -> Host:
    """What `ssh.gateway` names. Raises ConfigError when that cannot be read."""
    user, _, place = ssh.gateway.rpartition("@")
    address, port = place, str(SSH_PORT)
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        port = port.lstrip(":") or str(SSH_PORT)
    elif place.count(":") == 1:
        address, _, port = place.partition(":")
    if not (address and port.isdigit()):
        raise ConfigError(f"{ssh.gateway!r} is not a bastion", key="ssh.gateway", hint="user@host or user@host:port")
    behind = replace(ssh, user=user or ssh.user, port=int(port), gateway="")
    host = Host(ssh.gateway, (), address, "/", behind)
    if not ssh.config:
        return host
    from dojo_deploy.transports.ssh_config import configured

    # One more bastion before this one is not supported.
    said = {"gateway", *(["user"] if user else []), *(["port"] if port != str(SSH_PORT) else [])}
    return configured(host, said)
