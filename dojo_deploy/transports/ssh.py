"""Connections by Fabric, and what they share: keys, known hosts, bastions. The only importer of Fabric and paramiko.

Commands go over session channels of Fabric's connection instead of `Connection.run`, which takes ten times as long per
command and cannot tell a lost connection from a failed command.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import fabric
import paramiko
import tenacity

from dojo_deploy.errors import LoginError, UnreachableError
from dojo_deploy.interfaces import Clock
from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.transports import sockets
from dojo_deploy.transports.bastions import bastion
from dojo_deploy.transports.channels import Through, cut_off
from dojo_deploy.transports.keys import read_key
from dojo_deploy.transports.known_hosts import Key, KnownHosts, entry, refusal
from dojo_deploy.transports.links import Link
from dojo_deploy.transports.shells import SshShell

BROKEN = (paramiko.SSHException, EOFError, OSError)
KEX = ("curve25519-sha256@libssh.org", "mlkem768x25519-sha256")
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")

# At DEBUG it logs what is sent; without a handler of its own it prints tracebacks of refused connections.
logging.getLogger("paramiko").setLevel(logging.WARNING)
logging.getLogger("paramiko").addHandler(logging.NullHandler())

TICK = 1.0  # seconds


def connect(host: Host, gateways: Gateways, clock: Clock) -> SshShell:
    """The host's shell. It connects on first use."""
    return SshShell(host, partial(_open, host, gateways, clock), clock)


class Gateways:
    """What the connections of one session share: one connection per bastion; key and known_hosts files read once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shells: dict[tuple[str, Ssh], SshShell] = {}
        self._keys: dict[tuple[str, bool], paramiko.PKey | None] = {}
        self._known: dict[str, KnownHosts] = {}

    def socket(self, host: Host, deadline: float) -> Any:
        """What SSH to `host` is spoken over: TCP, or a tunnel through its bastion. Raises OSError, UnreachableError."""
        address, ssh = host.address, host.ssh
        if not ssh.gateway:
            return sockets.connect(address, ssh.port, deadline=deadline, dead_after=ssh.dead_after, clock=self._clock)
        through = bastion(ssh)
        with self._lock:
            shell = self._shells.setdefault((through.address, through.ssh), connect(through, self, self._clock))
        return shell.dial(address, ssh.port, within=deadline - self._clock.monotonic())

    def connection(self, host: Host, **given: Any) -> fabric.Connection:
        """A Fabric connection that is not open yet; `given` are arguments of paramiko's `connect`."""
        ssh = host.ssh
        key = self._key(ssh.key, agent=ssh.agent) if ssh.key else None
        options = {"pkey": key, "allow_agent": ssh.agent, "look_for_keys": False, **given}
        # Lazy: no file of the machine or of the working folder, and no variable, has a say in a connection. And one of
        # its own each: every new connection writes to its configuration, which is empty for that moment.
        config = fabric.Config(lazy=True)
        return fabric.Connection(
            host.address, user=ssh.user, port=ssh.port, config=config, forward_agent=False, connect_kwargs=options
        )

    def vouched(self, host: Host) -> tuple[Key, ...]:
        """The keys that the host may have. Raises ConfigError for an unreadable file."""
        path = host.ssh.known_hosts
        with self._lock:
            if path not in self._known:
                self._known[path] = KnownHosts(path)
            return self._known[path].vouch(host.address, host.ssh.port)

    def close(self) -> None:
        """Closes the connections to bastions, and with them all that go through them."""
        with self._lock:
            shells = tuple(self._shells.values())
        for shell in shells:
            shell.close()

    def _key(self, path: str, *, agent: bool) -> paramiko.PKey | None:
        with self._lock:
            if (path, agent) not in self._keys:
                self._keys[path, agent] = read_key(path, agent=agent)
            return self._keys[path, agent]


class _Link(Link):
    """A link on an open Fabric connection."""

    def __init__(self, connection: fabric.Connection, host: Host) -> None:
        super().__init__(connection.transport, host, BROKEN)
        self._client = connection.client

    def close(self) -> None:
        super().close()
        self._client.close()  # its socket to the agent, too

    def tunnel(self, address: str, port: int, *, within: float) -> Through:
        name = self._host.name
        try:
            with cut_off(within, self.close):
                asked = self._transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=within)
                return Through(asked, BROKEN)
        except paramiko.ChannelException as exc:
            # paramiko keeps the number alone of what the server said: 2 is any connection that was not made.
            why = "connection refused or timed out" if exc.code == 2 else exc.text
            raise ConnectionRefusedError(f"{name} cannot reach {address}:{port}: {why}") from exc
        except paramiko.SSHException as exc:
            raise TimeoutError(f"{name} gave no answer about {address}:{port}: {exc}") from exc
        except EOFError as exc:
            raise ConnectionResetError(f"connection to {name} lost") from exc


class _UnknownKey(Exception):
    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("unknown host key")
        self.key = key


class _Reject(paramiko.RejectPolicy):  # type: ignore[misc]
    """Refuses as its parent does, and hands the key out for the message."""

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise _UnknownKey(key)


class _Dropped(UnreachableError):
    """The connection went away before anybody was authenticated: a busy sshd does that (MaxStartups)."""


def _open(host: Host, gateways: Gateways, clock: Clock, deadline: float) -> _Link:
    deadline = min(deadline, clock.monotonic() + host.ssh.connect_within)
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Dropped),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2),
        stop=tenacity.stop_before_delay(deadline - clock.monotonic()),
        sleep=clock.sleep,
        reraise=True,
    )
    return attempts(_attempt, host, gateways, clock, deadline)


def _attempt(host: Host, gateways: Gateways, clock: Clock, deadline: float) -> _Link:
    place = f"{host.address}:{host.ssh.port}"
    vouched = gateways.vouched(host)
    try:
        sock = gateways.socket(host, deadline)
    except OSError as exc:
        raise UnreachableError(f"no connection to {place}: {exc.strerror or exc}", host=host.name) from exc
    with contextlib.ExitStack() as unused:
        unused.callback(sock.close)
        left = max(0.0, deadline - clock.monotonic())
        connection = gateways.connection(
            host,
            sock=sock,
            transport_factory=_transport(vouched),
            **dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), left),
        )
        unused.callback(connection.client.close)  # its socket to the agent, too
        _vouch(connection.client.get_host_keys(), host, vouched)
        connection.client.set_missing_host_key_policy(_Reject())
        try:
            with cut_off(left, sock.close):
                connection.open()
            link = _Link(connection, host)
        except (_UnknownKey, *BROKEN) as exc:
            raise _explained(exc, host) from exc
        unused.pop_all()
    return link


def _vouch(known: paramiko.HostKeys, host: Host, keys: Iterable[Key]) -> None:
    for kind, text in keys:
        with contextlib.suppress(paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError):
            known.add(
                entry(host.address, host.ssh.port), kind, paramiko.PKey.from_type_string(kind, base64.b64decode(text))
            )


def _explained(exc: Exception, host: Host) -> UnreachableError:
    place = f"{host.address}:{host.ssh.port}"
    if isinstance(exc, _UnknownKey):
        return refusal(host, exc.key.get_name(), exc.key.asbytes(), changed=False)
    if isinstance(exc, paramiko.BadHostKeyException):
        return refusal(host, exc.key.get_name(), exc.key.asbytes(), changed=True)
    # Having nothing to offer is an error of another kind there.
    if isinstance(exc, paramiko.AuthenticationException) or "No authentication methods" in str(exc):
        offer = host.ssh.key or ("the agent's keys" if host.ssh.agent else "no key: set ssh.key or ssh.agent")
        return LoginError(
            f"{place} refused the login of {host.ssh.user}: {exc}", host=host.name, hint=f"offered: {offer}"
        )
    if isinstance(exc, paramiko.ssh_exception.IncompatiblePeer):
        return UnreachableError(f"no common algorithm with {place}: {exc}", host=host.name)
    return _Dropped(f"no SSH session with {place}: {str(exc) or type(exc).__name__}", host=host.name)


def _transport(vouched: tuple[Key, ...]) -> Callable[..., paramiko.Transport]:
    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, **options)
        # paramiko's reader wakes ten times a second to see whether it was closed: with 500 hosts that is a whole core.
        transport.sock.settimeout(TICK)
        security = transport.get_security_options()
        security.kex = _first(KEX, security.kex)
        security.ciphers = _first(CIPHERS, security.ciphers)
        # Asked for a kind that is not in known_hosts, an honest host would show a key that nobody can check.
        known = {kind for kind, _ in vouched}
        known |= {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in known else set()
        security.key_types = _first(tuple(kind for kind in security.key_types if kind in known), security.key_types)
        return transport

    return make


def _first(wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(name for name in wanted if name in known)
    return chosen + tuple(name for name in known if name not in chosen)
