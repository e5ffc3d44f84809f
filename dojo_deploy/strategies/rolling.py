"""Rolling: the new release goes to every host first, then batch by batch into service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Lane, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import bringing, database, hooks, judged, services
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.rollout import Bake, Rollout, share_of, switch, unhealthy_first


@dataclass(frozen=True)
class Rolling:
    """Stage everywhere, migrate once, then per batch: prove → drain → switch → gate → restore → bake.

    `batches` is Ansible's `serial`: numbers or percents, the last one repeats. `max_failures` counts over the whole
    run: a host that fails within it is undone and left drained, one that is lost in its batch is left drained as it is,
    and the run ends 30. `prove` starts each release on a side port before its host is drained; `off` for applications
    that ignore `$PORT`. `stage: first` brings the release to every host before the first batch, so that a host which
    cannot take it is found before anything changed; `with-batch` brings it to each host with its own batch, in fewer
    round trips. `on_failure`: rollback or halt; `on_interrupt`, for Ctrl-C and SIGTERM: halt (stop at the next step, to
    be resumed or aborted) or rollback.
    """

    release: ClassVar[str] = "build"

    batches: tuple[int | str, ...] = (1, "50%")
    max_failures: int | str = 0
    migrate: Migrate | None = None
    gate: Gate = Gate()
    bake: Bake = Bake()
    prove: str = "on"
    stage: str = "first"
    hooks: tuple[Hook, ...] = ()
    on_failure: str = "rollback"
    on_interrupt: str = "halt"
    order: str = "unhealthy-first"
    limit: str = ""

    def __post_init__(self) -> None:
        hooks.refuse_phases(self.hooks, ("run", "prepare", "migrate", "batch", "finish"))
        for name, allowed in (
            ("prove", ("on", "off")),
            ("stage", ("first", "with-batch")),
            ("on_failure", ("rollback", "halt")),
            ("on_interrupt", ("halt", "rollback")),
            ("order", ("unhealthy-first", "inventory")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{getattr(self, name)!r} is not possible", key=name, hint=" or ".join(allowed))

    @property
    def asks(self) -> Mapping[str, str]:
        """What is to be asked on the first host before the plan is made: name -> line."""
        return database.questions(self.migrate)

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError for a missing shared file, a foreign platform, too little room, a batch too large, or a
        migration that the release which serves cannot live with."""
        hosts = site.select(self.limit, slot=seen.live)
        if self.order == "unhealthy-first":
            hosts = unhealthy_first(hosts, seen, seen.live)
        places = tuple(Placement(host, seen.live, release.id, site.app) for host in hosts)
        bringing.refuse_unfit(places, release, seen)
        early = places if self.stage == "first" else places[:1] if self.migrate else ()
        verdict = judged.judge(self.migrate, site, release, seen)
        rollout = Rollout(
            site,
            seen,
            self.gate,
            self.bake,
            self.hooks,
            places,
            change=lambda place: (switch(seen, place, self.gate, no_way_back=bool(verdict.contract)),),
            prelude=lambda place: (
                *((bringing.bring(place, release, seen),) if place not in early else ()),
                *(services.prove(place, self.gate) if self.prove == "on" else ()),
            ),
        )
        before = hooks.stages(self.hooks, "run", "before", places) + hooks.stages(
            self.hooks, "prepare", "before", places
        )
        prepare = [Lane(place.host.name, (bringing.bring(place, release, seen),)) for place in early]
        finish = [Lane(place.host.name, bringing.finish(place, release, seen)) for place in places]
        migrate = (
            Stage(
                "migrate", (Lane(places[0].host.name, (database.migrate(places[0], self.migrate),)),), phase="migrate"
            )
            if self.migrate
            else None
        )
        return Plan(
            "rolling",
            release,
            (
                *before,
                *((Stage("prepare", tuple(prepare), phase="prepare"),) if early else ()),
                *hooks.stages(self.hooks, "prepare", "after", places),
                *hooks.stages(self.hooks, "migrate", "before", places),
                *((migrate,) if migrate else ()),
                *hooks.stages(self.hooks, "migrate", "after", places),
                *rollout.stages(self.batches),
                *hooks.stages(self.hooks, "finish", "before", places),
                Stage("finish", tuple(finish), phase="finish"),
                *hooks.stages(self.hooks, "finish", "after", places),
                *hooks.stages(self.hooks, "run", "after", places),
            ),
            slot=seen.live,
            notes=(*rollout.notes(self.batches), *verdict.notes),
            max_failures=share_of(self.max_failures, len(places)),
            on_failure=self.on_failure,
            on_interrupt=self.on_interrupt,
            after_failure=hooks.failure_stages(self.hooks, places),
            contract=verdict.contract,
        )
