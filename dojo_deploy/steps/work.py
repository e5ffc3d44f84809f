"""What a maintenance window is for: the operator's own lines, in their order, and those that look at the outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Stage
from dojo_deploy.release import Observed, Placement
from dojo_deploy.steps import hooks
from dojo_deploy.steps.database import refuse_destructive
from dojo_deploy.steps.hooks import PLACES, Hook

# Whoever verifies by psql, or by a driver that knows it, cannot change what it looks at.
READ_ONLY = "export PGOPTIONS='-c default_transaction_read_only=on'\n"


@dataclass(frozen=True)
class Work:
    """Keys of an entry of `work:`. It sees `$RELEASE_DIR`, `$HOST` … as a hook does; exit status 0 is success.

    `on`: `controller`, `once` (the first web host), `each` web host, or the name of a host or a group, such as `db`.
    `deadline` in seconds; then all that it started is killed. `undo` must be right if the line did nothing, part or all
    of its work, and is tried again until it succeeds. `point_of_no_return`: once it has begun, nothing before it is
    undone either. One that is `idempotent` is run again when nobody knows how it ended.
    """

    run: str
    on: str = "controller"
    name: str = ""
    deadline: float = 600.0
    undo: str = ""
    point_of_no_return: bool = False
    idempotent: bool = False

    def __post_init__(self) -> None:
        refuse_destructive(self.run)
        refuse_destructive(self.undo, "undo")


@dataclass(frozen=True)
class Check:
    """Keys of an entry of `verify:`: a line that reads only, and ends with status 0 when all is as it should be.

    PostgreSQL's programs and drivers get a session that cannot write. `on` and `deadline` as in `work:`.
    """

    run: str
    on: str = "controller"
    name: str = ""
    deadline: float = 60.0


def stages(work: Sequence[Work], site: Inventory, seen: Observed, places: tuple[Placement, ...]) -> Iterator[Stage]:
    """A stage for each, in their order. Raises ConfigError for a place that there is none of."""
    for number, one in enumerate(work, 1):
        label = one.name or str(number)
        hook = Hook(
            one.run, on=_on(one.on), name=label, deadline=one.deadline, undo=one.undo, idempotent=one.idempotent
        )
        lanes = hooks.lanes(hook, _places(one.on, "work", site, seen, places))
        marked = [
            replace(lane, steps=tuple(replace(s, point_of_no_return=one.point_of_no_return) for s in lane.steps))
            for lane in lanes
        ]
        yield Stage(f"work: {label}", tuple(marked), phase="work")


def checks(verify: Sequence[Check], site: Inventory, seen: Observed, places: tuple[Placement, ...]) -> Iterator[Stage]:
    """A stage for each, in their order. Raises ConfigError for a place that there is none of."""
    for number, one in enumerate(verify, 1):
        label = one.name or str(number)
        hook = Hook(READ_ONLY + one.run, on=_on(one.on), name=label, deadline=one.deadline)
        yield Stage(f"verify: {label}", hooks.lanes(hook, _places(one.on, "verify", site, seen, places)), phase="work")


def _on(name: str) -> str:
    return name if name in PLACES else "each"


def _places(on: str, key: str, site: Inventory, seen: Observed, places: tuple[Placement, ...]) -> tuple[Placement, ...]:
    if on in PLACES:
        return places
    hosts = (site.hosts[on],) if on in site.hosts else site.group(on) if on in site.groups else ()
    if not hosts:
        raise ConfigError(f"no host or group {on!r}", key=key, hint=", ".join((*PLACES, *site.groups, *site.hosts)))
    # A host without a release of its own, such as the database's, is told of the one that serves.
    known = {place.host.name: place for place in places}
    return tuple(known.get(host.name) or Placement(host, seen.live, places[0].release, site.app) for host in hosts)
