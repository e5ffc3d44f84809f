"""Who is in the sandbox and at which port: designed once, extended when asked for more, never renumbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dojo_deploy.errors import ConfigError

USER = "deploy"
ENVIRONMENT = "sandbox"
SLOTS = ("blue", "green", "proof")
SERVICE_PORTS = (
    "postgres", "redis", "s3", "s3_grpc", "filer", "filer_grpc", "master", "master_grpc", "volume", "volume_grpc",
)  # fmt: skip

Take = Callable[[int], list[int]]


@dataclass(frozen=True)
class Host:
    """`slots` is the port of each app's slots on this host: {app: {slot: port}}; the balancer's has none."""

    name: str
    group: str
    port: int
    slots: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class App:
    """`listen` is the port of its site on the balancer; `number` its Redis database."""

    name: str
    listen: int
    number: int

    @property
    def upstream(self) -> str:
        return f"{self.name}_{ENVIRONMENT}".replace("-", "_")

    @property
    def database(self) -> str:
        return "dojo" if self.number == 0 else f"dojo_{self.name}".replace("-", "_")


@dataclass(frozen=True)
class Fleet:
    hosts: tuple[Host, ...]
    apps: tuple[App, ...]
    ports: Mapping[str, int]

    @property
    def web(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.group == "web")


def design(hosts: int, apps: Sequence[str], before: Fleet | None, take: Take) -> Fleet:
    """A fleet of at least `hosts` web hosts, one balancer and `apps`; what was there `before` keeps its ports."""
    if hosts < 1 or not apps:
        raise ConfigError("a sandbox needs at least one host and one app")
    before = before or Fleet((), (), {})
    known = {app.name: app for app in before.apps}
    names = [*known, *(name for name in dict.fromkeys(apps) if name not in known)]
    everywhere = {host.name: host for host in before.hosts}
    web = [f"web{number + 1}" for number in range(max(hosts, len(before.web)))]
    return Fleet(
        (
            *(_host(name, "web", names, everywhere.get(name), take) for name in web),
            _host("lb1", "lb", [], everywhere.get("lb1"), take),
        ),
        tuple(known.get(name) or App(name, take(1)[0], number) for number, name in enumerate(names)),
        before.ports or dict(zip(SERVICE_PORTS, take(len(SERVICE_PORTS)), strict=True)),
    )


def parse(state: Mapping[str, Any]) -> Fleet:
    """The fleet that a state file tells of."""
    return Fleet(
        tuple(Host(host["name"], host["group"], host["port"], host["slots"]) for host in state["hosts"]),
        tuple(App(app["name"], app["listen"], number) for number, app in enumerate(state["apps"])),
        state["ports"],
    )


def _host(name: str, group: str, apps: Sequence[str], before: Host | None, take: Take) -> Host:
    slots = dict(before.slots) if before else {}
    for app in apps:
        if app not in slots:
            slots[app] = dict(zip(SLOTS, take(len(SLOTS)), strict=True))
    return Host(name, group, before.port if before else take(1)[0], slots)
