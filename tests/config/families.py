"""Kinds of our own, named `module:Class` in files, as a user's would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dojo_deploy.errors import ConfigError
from dojo_deploy.plan import Gate, Plan
from dojo_deploy.secrets import Secret

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Probe
    from dojo_deploy.inventory import Inventory
    from dojo_deploy.release import Observed, Release


@dataclass(frozen=True)
class Smoke:
    run: str
    deadline: float = 60.0


@dataclass(frozen=True)
class Canary:
    """A strategy with every shape that a field can have."""

    share: int = 10
    watch: float = 600.0
    batches: tuple[int | str, ...] = (1, "50%")
    smoke: Smoke | None = None
    gate: Gate = Gate()
    hooks: tuple[Smoke, ...] = ()
    mode: Literal["fast", "careful"] = "careful"
    token: Secret | None = None
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    probe: Probe | None = None
    loud: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 100:
            raise ConfigError(f"{self.share} is no percentage", key="share", hint="1 to 100")

    def check(self) -> None:
        if self.watch > 86400:
            raise ValueError("nobody watches for more than a day")

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        raise NotImplementedError


@dataclass(frozen=True)
class Listens:
    """A probe, whose `check` is not ours to call."""

    port: int = 80

    def check(self, session: object, target: object, *, within: float) -> object:
        raise NotImplementedError


@dataclass(frozen=True)
class Unfit:
    """Fits no family."""


class Plain:
    """No dataclass."""


CANARY = f"{__name__}:Canary"
LISTENS = f"{__name__}:Listens"
