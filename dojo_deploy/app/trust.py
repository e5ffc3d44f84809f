"""Host keys: what hosts show, held against what is recorded, and recorded once somebody has compared them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from dojo_deploy.app.sites import Site, read
from dojo_deploy.clock import SystemClock
from dojo_deploy.command import quote
from dojo_deploy.engine.executors import threads
from dojo_deploy.errors import DojoError
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.paste import invoke
from dojo_deploy.patterns import matching
from dojo_deploy.transports.bastions import bastion
from dojo_deploy.transports.known_hosts import Key, KnownHosts, entry, fingerprint, record
from dojo_deploy.transports.scan import scan as keys_of
from dojo_deploy.transports.ssh import Gateways

KNOWN, NEW, CHANGED, REVOKED, AWAY = "known", "new", "changed", "revoked", "away"


@dataclass(frozen=True)
class Shown:
    """What one host showed. `recorded` are its keys in known_hosts; `trouble` is why it could not be asked."""

    host: Host
    standing: str
    keys: tuple[Key, ...] = ()
    recorded: tuple[Key, ...] = ()
    trouble: str = ""

    @property
    def place(self) -> str:
        """As it stands in known_hosts."""
        return entry(self.host.address, self.host.ssh.port)

    def as_dict(self, site: Inventory) -> Mapping[str, object]:
        """For people and programs; `then` is what to type."""
        path, then = self.host.ssh.known_hosts, ""
        if self.standing == CHANGED:
            limit = ("--limit", self.host.name) if self.host.name in site.hosts else ()
            forget = f"ssh-keygen -R {quote(self.place)} -f {quote(path)}"
            then = f"if the host was set up anew: {forget} && {invoke(site, 'hosts.trust', *limit)}"
        return {
            "host": self.host.name,
            "place": self.place,
            "known_hosts": path,
            "standing": self.standing,
            "keys": [{"kind": key[0], "fingerprint": print_of(key)} for key in self.keys],
            "recorded": [{"kind": key[0], "fingerprint": print_of(key)} for key in self.recorded],
            "trouble": self.trouble,
            "then": then,
        }


def line(site: Inventory, shown: Iterable[Shown]) -> str:
    """What CI types once somebody has compared: a fingerprint of each host that is new."""
    new = [one for one in shown if one.standing == NEW]
    words = [word for one in new for word in ("--fingerprint", print_of(one.keys[0]))]
    if not words:
        return ""
    return f"{invoke(site, 'hosts.trust', *words)}   # if the hosts' own consoles show the same"


def meet(
    site: Inventory,
    fingerprints: Iterable[str],
    *,
    limit: str,
    tell: Callable[[Sequence[Shown], Sequence[str]], None],
    agree: Callable[[], bool] | None,
) -> tuple[Shown, ...]:
    """Scans, tells, and records what is new once `agree` says so; without it, what has one of `fingerprints`.

    Again, for who is behind a bastion that is trusted now. Returns how all of them stand at the end.
    """
    shown, told = scan(site, limit=limit), set[tuple[str, ...]]()
    while True:
        fresh = [one for one in shown if (one.host.name, one.standing, one.trouble) not in told]
        told |= {(one.host.name, one.standing, one.trouble) for one in fresh}
        tell(fresh, ())
        new = [one for one in shown if one.standing == NEW]
        wanted = None if agree and new and agree() else fingerprints
        recorded = trust(new, wanted)
        if not recorded:
            return shown
        told |= {(name, KNOWN, "") for name in recorded}
        tell((), recorded)
        shown = scan(site, limit=limit)


def scan(inventory: Site = None, *, limit: str = "") -> tuple[Shown, ...]:
    """Asks every host of the inventory, and every bastion, first; one behind a bastion that is not trusted is away.

    Nobody logs in anywhere but to a bastion. Raises ConfigError.
    """
    site = read(inventory)
    names = matching(limit, tuple(site.hosts), site.groups, site.path) if limit else set(site.hosts)
    hosts = [host for host in site.hosts.values() if host.name in names]
    bastions = [bastion(host.ssh) for host in hosts if host.ssh.gateway]
    first = {(one.address, one.ssh.port, one.ssh.known_hosts): one for one in bastions}.values()
    gateways = Gateways(SystemClock())
    try:
        with threads(max((host.ssh.lanes for host in hosts), default=1)) as executor:
            return (*_ask(first, gateways, executor), *_ask(hosts, gateways, executor))
    finally:
        gateways.close()


def print_of(key: Key) -> str:
    """Its fingerprint."""
    return fingerprint(base64.b64decode(key[1]))


def trust(shown: Iterable[Shown], fingerprints: Iterable[str] | None = None) -> tuple[str, ...]:
    """Records the keys of new hosts: all of them, or those with one of `fingerprints`. Returns the hosts' names.

    A key that has changed is never replaced. Raises ConfigError for a file that cannot be written.
    """
    wanted = None if fingerprints is None else frozenset(fingerprints)
    lines: dict[str, list[str]] = {}
    names = []
    for one in shown:
        keys = [key for key in one.keys if wanted is None or print_of(key) in wanted]
        if one.standing == NEW and keys:
            names.append(one.host.name)
            lines.setdefault(one.host.ssh.known_hosts, []).extend(f"{one.place} {kind} {text}" for kind, text in keys)
    for path, added in lines.items():
        record(path, added)
    return tuple(names)


def _ask(hosts: Iterable[Host], gateways: Gateways, executor: Executor) -> tuple[Shown, ...]:
    pending = [executor.submit(_look, host, gateways) for host in hosts]
    return tuple(future.result() for future in pending)


def _look(host: Host, gateways: Gateways) -> Shown:
    known = KnownHosts(host.ssh.known_hosts)
    recorded = known.vouch(host.address, host.ssh.port)
    try:
        keys = keys_of(host, gateways, SystemClock())
    except DojoError as exc:
        return Shown(host, AWAY, (), recorded, exc.message)
    if any(key in known.revoked(host.address, host.ssh.port) for key in keys):
        return Shown(host, REVOKED, keys, recorded)
    standing = KNOWN if set(keys) & set(recorded) else CHANGED if recorded else NEW
    return Shown(host, standing, keys, recorded)
