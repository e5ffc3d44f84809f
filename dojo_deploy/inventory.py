"""What is there: an application, its hosts, and how each of them is reached. Values only, complete once built.

The field names are the keys of `inventories/*.yml` (config.py binds them), so this module is also the reference.
Durations are seconds; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from dojo_deploy.errors import ConfigError
from dojo_deploy.patterns import matching
from dojo_deploy.secrets import Secret

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Balancer, Database, Notifier, Probe, ProcessManager, StoreKind

BLUE, GREEN, PROOF = "blue", "green", "proof"


@dataclass(frozen=True)
class Ssh:
    """How a host is reached. Keys of `ssh:` in the inventory; a host entry may override any of them."""

    user: str = "deploy"
    port: int = 22
    key: str = ""  # private key file; empty: the agent, when `agent` is on
    known_hosts: str = "known_hosts"  # relative to the inventory file
    gateway: str = ""  # bastion as user@host[:port]; one connection to it is shared by all hosts behind it
    agent: bool = False  # offer the SSH agent's keys; forwarding it to hosts is never done
    connect_within: float = 10.0
    dead_after: float = 15.0  # a peer that acknowledges nothing for so long is lost
    reach_within: float = 60.0  # one that was lost in the middle of its work is asked for so long what became of it
    lanes: int = 50  # hosts worked on at once
    config: str = ""  # OpenSSH's own, like ~/.ssh/config: says of a host what the inventory does not


@dataclass(frozen=True)
class Source:
    """Where releases come from. Keys of `app.source`."""

    repository: str = ""  # empty: the checkout that this command is started in
    path: str = "."  # folder of a monorepo
    ref: str = ""  # default ref; empty: the tip of the default branch


@dataclass(frozen=True)
class Build:
    """How a release is made, once. Keys of `app.build`."""

    run: tuple[str, ...] = ()
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    on: str = "local"  # or the name of a host of the inventory
    within: float = 1800.0


@dataclass(frozen=True)
class Process:
    """One kind of process of the application. Keys of `app.processes.NAME`."""

    script: str = ""  # relative to the release, for pm2
    args: tuple[str, ...] = ()
    instances: int = 1
    port: int = 0  # of the blue slot; green and proof follow on port+1 and port+2 unless `ports` names them
    ports: Mapping[str, int] = field(default_factory=dict)
    mode: str = "cluster"  # pm2: cluster reloads without a gap, fork does not
    start: str = ""  # shell lines, for `kind: command`; for systemd, one that stays in the foreground
    stop: str = ""
    reload: str = ""
    running: str = ""  # prints one line `PID` per running process
    log: str = ""  # for `kind: command`: the file whose end is shown when a gate fails; `$SHARED_DIR/web.log`, say
    ready_within: float = 10.0  # from start until it listens
    stop_within: float = 10.0  # for requests in flight, then it is killed
    env: Mapping[str, str | Secret] = field(default_factory=dict)


@dataclass(frozen=True)
class Processes:
    """What runs: `kind` names the process manager, the other keys are processes. Empty: a static site."""

    kind: ProcessManager | None = None
    each: Mapping[str, Process] = field(default_factory=dict, metadata={"rest": True})

    @property
    def web(self) -> str:
        """The process that listens, or an empty string for an application that serves no port itself."""
        return next((name for name, process in self.each.items() if process.port or process.ports), "")

    @property
    def listening(self) -> tuple[str, ...]:
        """Those with a port."""
        return tuple(name for name, process in self.each.items() if process.port or process.ports)

    @property
    def workers(self) -> tuple[str, ...]:
        """Those without: nobody asks them, they take work from a queue."""
        return tuple(name for name in self.each if name not in self.listening)

    @property
    def watched(self) -> Mapping[str, Process]:
        """Those that can be asked what they run: all but shell lines of which none is a `running` one.

        A manager that `knows_all` can be asked whatever the lines are.
        """
        knows_all = getattr(self.kind, "knows_all", False)
        return {
            name: one
            for name, one in self.each.items()
            if knows_all or one.running or not (one.start or one.stop or one.reload)
        }


@dataclass(frozen=True)
class App:
    """The application. Keys of `app:`."""

    name: str
    root: str = ""  # absolute; a host entry may override it
    environment: str = ""  # default: the inventory file's stem
    source: Source = Source()
    build: Build = Build()
    shared: tuple[str, ...] = ()  # files and folders that outlive releases, relative to the release
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    env_file: Secret | None = None  # KEY=value lines; written 0600 into each release together with `env`
    processes: Processes = Processes()
    health: str = "/health"
    release_field: str = "release"  # dotted JSON field of the health answer that names the release; empty: none does
    keep: int = 5


@dataclass(frozen=True)
class Host:
    """One machine, as resolved: `name` is what people type and what is unique, `address` is what is connected to."""

    name: str
    groups: tuple[str, ...]
    address: str
    root: str
    ssh: Ssh = Ssh()
    upstream: str = ""  # the address under which the balancer reaches it; empty: `address`
    ports: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # process -> slot -> port
    labels: Mapping[str, str] = field(default_factory=dict)

    def port(self, process: str, slot: str) -> int:
        """The port that `process` listens on in `slot`; 0 when it has none."""
        return self.ports.get(process, {}).get(slot, 0)


@dataclass(frozen=True)
class Backend:
    """What a balancer sends requests to: `address` is `ip:port`."""

    host: str
    slot: str
    address: str


@dataclass(frozen=True)
class Page:
    """What a balancer answers in maintenance, with status 503."""

    body: str = "Down for maintenance. Back soon.\n"
    content_type: str = "text/plain; charset=utf-8"
    retry_after: float = 120.0  # seconds, as the client is told
    allow: tuple[str, ...] = ()  # addresses or networks (CIDR) of clients that reach the site nevertheless
    exempt: tuple[str, ...] = ()  # paths, exactly so, that everybody reaches nevertheless


@dataclass(frozen=True)
class LockSettings:
    """Keys of `lock:`. A holder that renews nothing for `ttl` seconds is taken over."""

    ttl: float = 60.0


@dataclass(frozen=True)
class Inventory:
    """One environment of one application: everything a strategy may know before it has looked at the fleet."""

    app: App
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    store: StoreKind
    balancer: Balancer
    web: str = "web"  # the group that releases go to
    colours: Mapping[str, str] = field(default_factory=dict)  # blue and green: groups; empty: both on the same hosts
    probes: Mapping[str, Probe] = field(default_factory=dict)
    database: Database | None = None
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)  # by a name of yours; all are told everything
    lock: LockSettings = LockSettings()
    strategies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    url: str = ""  # of the site, through the balancer; what the prober and `via balancer` gates ask
    probe: float = 0.0  # requests per second that the prober makes during every run; 0: only with --probe
    path: str = ""  # the file this came from
    document: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    @property
    def scope(self) -> str:
        """`app-environment`: part of every lock, path, process name, include and store key."""
        return f"{self.app.name}-{self.app.environment}"

    def group(self, name: str) -> tuple[Host, ...]:
        try:
            return tuple(self.hosts[host] for host in self.groups[name])
        except KeyError:
            raise ConfigError(f"no group {name!r}", where=self.path, hint=f"groups: {', '.join(self.groups)}") from None

    def of_slot(self, slot: str) -> tuple[Host, ...]:
        """Hosts of the release group that a slot may be on: all, unless colours are groups of their own."""
        hosts = self.group(self.web)
        if slot not in self.colours:
            return hosts
        return tuple(host for host in hosts if self.colours[slot] in host.groups)

    def backends(self, slot: str) -> tuple[Backend, ...]:
        """The web process of every host of the slot."""
        web = self.app.processes.web
        return tuple(
            Backend(host.name, slot, f"{host.upstream or host.address}:{host.port(web, slot)}")
            for host in self.of_slot(slot)
        )

    def select(self, pattern: str = "", *, slot: str = "") -> tuple[Host, ...]:
        """Hosts of the release group, or of a slot, that an Ansible-style pattern names, in inventory order.

        `web1,web2` or `web1:web2` is a union, `&x` an intersection, `!x` an exclusion; each part is a host, a group,
        `all`, a glob, or `~regex`. Raises ConfigError when a part matches nothing known.
        """
        targets = self.of_slot(slot)
        if not pattern:
            return targets
        names = matching(pattern, tuple(self.hosts), self.groups, self.path)
        chosen = tuple(host for host in targets if host.name in names)
        if not chosen:
            raise ConfigError(
                f"--limit {pattern} names no host of the group {self.web!r}",
                where=self.path,
                hint=f"hosts there: {', '.join(host.name for host in targets)}",
            )
        return chosen
