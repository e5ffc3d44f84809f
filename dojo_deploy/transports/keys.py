"""Private keys, and what of them hosts are given."""

from __future__ import annotations

from pathlib import Path

import paramiko

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Ssh


def public_lines(ssh: Ssh) -> tuple[str, ...]:
    """For authorized_keys, as `ssh-copy-id` would write them: the public half of `ssh.key`, else all of the agent's.

    Raises ConfigError.
    """
    if ssh.key:
        public = Path(f"{ssh.key}.pub")
        if public.is_file():
            line = public.read_text("utf-8", "replace").strip()
            if len(line.split()) < 2 or "\ufffd" in line:
                raise ConfigError(f"{public} is no public key", key="ssh.key", hint=f"ssh-keygen -y -f {ssh.key}")
            return (line,)
        key = read_key(ssh.key, agent=False)
        return (f"{key.get_name()} {key.get_base64()} {Path(ssh.key).name}",) if key else ()
    agent = paramiko.Agent() if ssh.agent else None
    try:
        return tuple(f"{key.get_name()} {key.get_base64()} {key.comment}" for key in agent.get_keys()) if agent else ()
    finally:
        if agent:
            agent.close()


def read_key(path: str, *, agent: bool) -> paramiko.PKey | None:
    """The private key; None for one with a passphrase, where the agent may have it. Raises ConfigError."""
    try:
        return paramiko.PKey.from_path(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}", key="ssh.key") from exc
    except (paramiko.PasswordRequiredException, TypeError) as exc:
        if agent:
            return None  # the agent has it, or nobody
        raise ConfigError(f"{path} has a passphrase", key="ssh.key", hint="load it into an agent: ssh.agent") from exc
    except (paramiko.SSHException, ValueError, paramiko.pkey.UnknownKeyType) as exc:
        raise ConfigError(f"{path} is no private key that can be used: {exc}", key="ssh.key") from exc
