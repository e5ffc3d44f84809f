"""The keys that a host shows to whoever asks, before any login."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

import paramiko

from dojo_deploy.errors import UnreachableError
from dojo_deploy.interfaces import Clock
from dojo_deploy.inventory import Host
from dojo_deploy.transports.channels import cut_off
from dojo_deploy.transports.known_hosts import Key
from dojo_deploy.transports.ssh import BROKEN, Gateways

# A host shows one key per connection, of a kind that it was asked for; the first is what is compared by most.
KINDS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


def scan(host: Host, gateways: Gateways, clock: Clock) -> tuple[Key, ...]:
    """All of them, through its bastion if it has one.

    Raises UnreachableError; HostKeyError and LoginError are the bastion's, which is logged in to.
    """
    found = tuple(key for kinds in KINDS for key in _shown(host, kinds, gateways, clock))
    if not found:
        raise UnreachableError("shows no key of a kind that is known here", host=host.name)
    return found


def _shown(host: Host, kinds: tuple[str, ...], gateways: Gateways, clock: Clock) -> Iterator[Key]:
    deadline = clock.monotonic() + host.ssh.connect_within
    place = f"{host.address}:{host.ssh.port}"
    try:
        sock: Any = gateways.socket(host, deadline)
    except OSError as exc:
        raise UnreachableError(f"no connection to {place}: {exc.strerror or exc}", host=host.name) from exc
    left = max(0.0, deadline - clock.monotonic())
    with contextlib.closing(sock), cut_off(left, sock.close):
        transport = paramiko.Transport(sock)
        try:
            options = transport.get_security_options()
            options.key_types = tuple(kind for kind in options.key_types if kind in kinds)
            transport.start_client(timeout=left)
            key = transport.get_remote_server_key()
        except paramiko.ssh_exception.IncompatiblePeer:
            return
        except BROKEN as exc:
            text = str(exc) or type(exc).__name__
            raise UnreachableError(f"no SSH session with {place}: {text}", host=host.name) from exc
        finally:
            transport.close()
    yield key.get_name(), base64.b64encode(key.asbytes()).decode()
