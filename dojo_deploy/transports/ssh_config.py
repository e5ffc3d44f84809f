"""Hosts as OpenSSH's own configuration file has them: HostName, User, Port, IdentityFile, ProxyJump."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import paramiko

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Host

# What OpenSSH tries where nothing is said, the best one first.
USUAL = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


def configured(host: Host, said: Collection[str]) -> Host:
    """The host, looked up by its address in the file that `ssh.config` names; keys in `said` stand as they are.

    A file that is not there says nothing, as for `ssh`. Its ForwardAgent is never followed. Raises ConfigError.
    """
    found, ssh = _look_up(host.ssh.config, host.address), host.ssh
    values: dict[str, object] = {}
    if "user" in found:
        values["user"] = found["user"]
    if "port" in found:
        values["port"] = int(found["port"])
    if found.get("proxyjump", "none").lower() != "none":
        values["gateway"] = _one_jump(found["proxyjump"], ssh.config)
    identities: Iterable[str] = found.get("identityfile") or (() if ssh.key else USUAL)
    key = next((path for path in map(_expanded, identities) if Path(path).is_file()), "")
    if key:
        values["key"] = key
    # Keys in an agent are offered as `ssh` does it: beside the file, unless the file alone is to be.
    if found.get("identitiesonly", "no").lower() != "yes":
        values["agent"] = True
    kept = {name: value for name, value in values.items() if name not in said}
    address = host.address if "address" in said else str(found["hostname"])
    return replace(host, address=address, ssh=replace(ssh, **kept))  # type: ignore[arg-type]


def _look_up(path: str, alias: str) -> dict[str, str]:
    try:
        return dict(paramiko.SSHConfig.from_path(path).lookup(alias))
    except FileNotFoundError:
        return {"hostname": alias}
    except (OSError, UnicodeDecodeError, paramiko.SSHException) as exc:
        raise ConfigError(f"{path} cannot be used: {exc}", key="ssh.config") from exc


def _one_jump(text: str, path: str) -> str:
    if "," in text:
        raise ConfigError(f"{path}: ProxyJump {text}: one bastion is supported, not a chain", key="ssh.config")
    return text.removeprefix("ssh://").rstrip("/")


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())
