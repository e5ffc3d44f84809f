"""Releases, where they lie on a host, and what a look at the fleet found."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from dojo_deploy.inventory import BLUE, App, Host, Process
from dojo_deploy.migration import Finding as Finding
from dojo_deploy.migration import Migration as Migration
from dojo_deploy.migration import Tool as Tool

LEGACY = "legacy-"  # how the id of an adopted checkout begins: it is never pruned


@dataclass(frozen=True)
class Platform:
    """What an artifact with native modules depends on."""

    system: str = ""
    machine: str = ""
    libc: str = ""
    node_abi: str = ""

    def differs(self, other: Platform) -> tuple[str, ...]:
        """What would not match, as `machine: aarch64, built for x86_64`; a part that is unknown on a side matches."""
        return tuple(
            f"{name}: {theirs}, built for {ours}"
            for name in ("system", "machine", "libc", "node_abi")
            if (ours := getattr(self, name)) and (theirs := getattr(other, name)) and ours != theirs
        )

    def __str__(self) -> str:
        return "-".join(part for part in (self.system, self.machine, self.libc, self.node_abi) if part)


@dataclass(frozen=True)
class Release:
    """One thing that can run: `id` is unique for its content and names its folder on every host.

    `sha256` and `size` are those of the artifact; empty and 0 for a release that already lies on the hosts.
    `migrations`: those in its artifact, in the order in which they run, known where `tool` is.
    """

    id: str
    commit: str = ""
    ref: str = ""
    sha256: str = ""
    size: int = 0
    platform: Platform = Platform()
    migrations: tuple[Migration, ...] = ()
    tool: Tool = Tool()


@dataclass(frozen=True)
class Layout:
    """Every path on a host, named once."""

    root: str

    @property
    def releases(self) -> str:
        return posixpath.join(self.root, "releases")

    @property
    def shared(self) -> str:
        return posixpath.join(self.root, "shared")

    @property
    def state(self) -> str:
        """Fence, step records, revision log; 0700."""
        return posixpath.join(self.root, ".dojo")

    @property
    def revisions(self) -> str:
        return posixpath.join(self.state, "revisions.log")

    def release(self, release: str) -> str:
        return posixpath.join(self.releases, release)

    def meta(self, release: str) -> str:
        """What dojo_deploy itself keeps with a release: its sha256, its environment; 0700."""
        return posixpath.join(self.releases, release, ".dojo")

    def complete(self, release: str) -> str:
        """Exists only in a release that was unpacked whole, and holds the artifact's sha256."""
        return posixpath.join(self.meta(release), "complete")

    def env(self, release: str) -> str:
        """The release's environment as shell lines, 0600, to be sourced."""
        return posixpath.join(self.meta(release), "env.sh")

    def slot(self, slot: str) -> str:
        return posixpath.join(self.root, "slots", slot)

    def current(self, slot: str = BLUE) -> str:
        return posixpath.join(self.slot(slot), "current")

    def run(self, run: str) -> str:
        """The host's own record of the steps of one run."""
        return posixpath.join(self.state, "runs", run)


@dataclass(frozen=True)
class HostSeen:
    """One host as it was found."""

    host: str
    current: Mapping[str, str] = field(default_factory=dict)  # slot -> release id that the link names
    running: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # slot/process -> release of each process
    releases: tuple[str, ...] = ()  # complete ones
    sha256: Mapping[str, str] = field(default_factory=dict)  # release -> sha256 of the artifact it was unpacked from
    missing: tuple[str, ...] = ()  # shared files that are not there
    platform: Platform = Platform()
    free: int = 0  # bytes, where releases go
    open_run: str = ""  # a run that began here and never ended
    drained: bool = False  # out of the balancer when we looked
    sick: str = ""  # what its health probe said, or which processes were missing; empty: well, or never asked

    def is_healthy(self, slot: str) -> bool:
        """Something runs there, it is what the link names, and nothing spoke against it."""
        runs = [release for key, found in self.running.items() if key.startswith(f"{slot}/") for release in found]
        return bool(runs) and all(release == self.current.get(slot) for release in runs) and not self.sick


@dataclass(frozen=True)
class Known:
    """What the record says of one release."""

    id: str
    commit: str = ""
    ref: str = ""
    passed: str = ""  # UTC time at which its gates had passed on every host of a run; empty: never
    bad: str = ""  # why it must not be chosen again
    run: str = ""
    before: str = ""  # what `passed` was when `run` wrote it
    was_bad: str = ""  # what `bad` was before a run wrote it
    sha256: str = ""
    migrations: tuple[Migration, ...] | None = None  # those it came with; None: nobody looked
    tool: Tool = Tool()
    migrated: bool = False  # the database has seen its migrations: all of them, or the first ones


@dataclass(frozen=True)
class Standby:
    """A colour that serves nobody, and could at once: what a switch-back goes to, until it is retired."""

    slot: str
    release: str
    until: str = ""  # UTC time from which it is to be retired


@dataclass(frozen=True)
class Observed:
    """The fleet as it was found, under the lock, before the plan was made."""

    hosts: Mapping[str, HostSeen]
    known: tuple[Known, ...] = ()  # the record, oldest first
    live: str = BLUE  # the slot that serves
    warnings: tuple[str, ...] = ()  # what the balancer said of its own settings
    serving: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # slot -> hosts that the balancer sends to
    standby: Standby | None = None
    facts: Mapping[str, str] = field(default_factory=dict)  # what the strategy asked the first host: name -> answer

    def current(self, host: str) -> str:
        """Release id that `host` serves from the live slot; empty on a bare host."""
        return self.hosts[host].current.get(self.live, "")

    def last_good(self, *, other_than: str) -> Known | None:
        """The newest release that passed its gates, is not marked bad, and is not `other_than`."""
        fit = [known for known in self.known if known.passed and not known.bad and known.id != other_than]
        return max(fit, key=lambda known: known.passed, default=None)


@dataclass(frozen=True)
class Placement:
    """One release in one slot of one host: what commands are built for.

    With `only`, starting and stopping leave the slot's other processes as they are. `workers` is `running`, or
    `paused`: then each process finds WORKERS=paused in its environment, whenever it starts.
    """

    host: Host
    slot: str
    release: str
    app: App
    only: tuple[str, ...] = ()
    workers: str = "running"

    @property
    def processes(self) -> Mapping[str, Process]:
        """Those that are meant."""
        each = self.app.processes.each
        return {name: each[name] for name in each if name in self.only} if self.only else each

    @property
    def layout(self) -> Layout:
        return Layout(self.host.root)

    @property
    def scope(self) -> str:
        return f"{self.app.name}-{self.app.environment}"

    @property
    def variables(self) -> dict[str, str]:
        """How a command line in a configuration file learns of the run."""
        web = self.app.processes.web
        return {
            "APP": self.app.name,
            "ENVIRONMENT": self.app.environment,
            "HOST": self.host.name,
            "RELEASE": self.release,
            "RELEASE_DIR": self.layout.release(self.release) if self.release else "",
            "CURRENT": self.layout.current(self.slot),
            "SHARED_DIR": self.layout.shared,
            "COLOUR": self.slot,
            "PORT": str(self.host.port(web, self.slot)) if web else "",
        }
