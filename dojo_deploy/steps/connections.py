"""Whether the database connections of both colours fit: while they run side by side, there are twice as many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import BLUE, GREEN, Inventory
from dojo_deploy.release import Observed

FACT = "connections"


@dataclass(frozen=True)
class Connections:
    """Keys of `connections:`. `pool`: process -> the connections that one instance of it opens at most.

    `limit`: what the server allows (`max_connections`), `reserved` of them for superusers; `others`: what everybody
    else needs. `ask`: a line run on the first host, in what serves there and with its environment, that prints three
    numbers: the limit, how many are reserved, how many are open now. They win over those written here.
    """

    pool: Mapping[str, int] = field(default_factory=dict)
    limit: int = 0
    reserved: int = 3
    others: int = 0
    ask: str = ""

    def __post_init__(self) -> None:
        if self.pool and not (self.limit or self.ask):
            raise ConfigError(
                "what the server allows is missing", key="limit", hint="100, or an `ask` line that finds out"
            )


def refuse_too_many(settings: Connections, site: Inventory, seen: Observed, hosts: Mapping[str, int]) -> None:
    """`hosts`: slot -> how many of it. Raises RefusedError with the whole sum when both colours would not fit."""
    unknown = [name for name in settings.pool if name not in site.app.processes.each]
    if unknown:
        known = ", ".join(site.app.processes.each)
        raise RefusedError(f"connections.pool names {unknown[0]!r}, which is no process", hint=f"processes: {known}")
    limit, reserved, now = _allowed(settings, seen)
    if not settings.pool or not limit:
        return
    all_, listening = _each(settings, site, only=()), _each(settings, site, only=site.app.processes.listening)
    idle = GREEN if seen.live == BLUE else BLUE
    old, new = hosts[seen.live], hosts[idle]
    # The old colour's workers end before those of the new one begin.
    peak = max(old * all_ + new * listening, old * listening + new * all_) + settings.others
    if peak > limit - reserved:
        raise RefusedError(
            f"both colours may open {peak} database connections, and {limit - reserved} are to be had: {old} + {new} "
            f"hosts, {_told(settings, site)}, others {settings.others}; max_connections {limit}, reserved {reserved}",
            hint="smaller pools, a larger max_connections, or `invoke deploy`, which rolls over the hosts",
        )
    # What stands by in the idle colour ends before the new release begins there.
    ending = min(now, new * listening) if seen.standby and seen.standby.slot == idle else 0
    if now - ending + new * listening > limit - reserved:
        raise RefusedError(
            f"{now - ending} database connections are open, and the idle colour may open {new * listening} more: "
            f"{limit - reserved} are to be had (max_connections {limit}, reserved {reserved})",
            hint="who holds them: SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2",
        )


def _allowed(settings: Connections, seen: Observed) -> tuple[int, int, int]:
    """The limit, the reserved ones, those open now (0: nobody knows)."""
    if FACT not in seen.facts:
        return settings.limit, settings.reserved, 0
    numbers = [int(text) for text in re.findall(r"\d+", seen.facts[FACT])]
    if len(numbers) != 3:
        raise RefusedError(
            f"connections.ask printed {seen.facts[FACT]!r}",
            hint="it must print three numbers: max_connections, superuser_reserved_connections, how many are open",
        )
    return numbers[0], numbers[1], numbers[2]


def _each(settings: Connections, site: Inventory, *, only: tuple[str, ...]) -> int:
    """What the processes of one host open at most."""
    each = site.app.processes.each
    return sum(settings.pool.get(name, 0) * each[name].instances for name in each if not only or name in only)


def _told(settings: Connections, site: Inventory) -> str:
    each = site.app.processes.each
    return " + ".join(f"{each[name].instances} {name} × {size}" for name, size in settings.pool.items())
