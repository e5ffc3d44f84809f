"""Maintenance: the site closes behind a page, is backed up, worked on, verified, and opens again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import Inventory, Page
from dojo_deploy.plan import Gate, Plan, Stage
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import hooks, maintenance, windows, work, workers
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.reopening import Reopening, served
from dojo_deploy.steps.work import Check, Work
from dojo_deploy.steps.workers import Workers

UNFINISHED = (
    "there is no `work:`: the run ends with the page up, and `invoke maintenance.finish` or `.abort` takes it down"
)
AGAIN = "the site is in maintenance already: whatever fails, the page stays up"


@dataclass(frozen=True)
class Maintenance:
    """Tell → close, proven → pause workers → back up → work → verify → ready → workers → open → watch → tell.

    What fails before the work begins opens the site again; what fails after it leaves the page up, and `work:` undone
    as far as it can be. Durations in seconds: `notice`, for which users must have read of the window before it begins;
    `lasts`, of a window that nobody scheduled; `settle`, that requests of before the page have to end; `watch`, for
    which the gate must hold once the page is down. `window` and `closed` are the run's own.
    """

    release: ClassVar[str] = "present"

    notice: float = 86400.0
    lasts: float = 7200.0
    page: Page = Page()
    settle: float = 60.0
    workers: Workers = Workers()
    backup: str = "on"
    work: tuple[Work, ...] = ()
    verify: tuple[Check, ...] = ()
    gate: Gate = Gate()
    watch: float = 3600.0
    hooks: tuple[Hook, ...] = ()
    on_interrupt: str = "halt"
    window: str = ""
    closed: bool = False  # before the run: an earlier one left the page up

    def __post_init__(self) -> None:
        for name, allowed in (("backup", ("on", "off")), ("on_interrupt", ("halt", "rollback"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{getattr(self, name)!r} is not possible", key=name, hint=" or ".join(allowed))
        hooks.refuse_phases(self.hooks, ("run",))

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError: nothing is deployed, nobody could show a page, or there would be no backup."""
        if not self.window:
            raise RefusedError("a maintenance needs its window", hint="invoke maintenance.start")
        maintenance.refuse_without_page(site)
        places = served(site, seen)
        return Plan(
            "maintenance",
            release,
            tuple(self._stages(site, release, seen, places)),
            slot=seen.live,
            notes=(*((AGAIN,) if self.closed else ()), *(() if self.work else (UNFINISHED,)), *seen.warnings),
            on_interrupt=self.on_interrupt,
            after_failure=(*windows.troubled(self.window), *hooks.failure_stages(self.hooks, places)),
            window=self.window,
        )

    def _stages(
        self, site: Inventory, release: Release, seen: Observed, places: tuple[Placement, ...]
    ) -> Iterator[Stage]:
        yield from hooks.stages(self.hooks, "run", "before", places)
        stays = windows.stay_closed(site, self.page, self.window)
        if self.closed:
            yield stays
        else:
            yield windows.announced(self.window)
            yield maintenance.close(site, self.page, settle=self.settle)
        yield workers.pause(places, self.workers, stays=self.closed)
        if self.backup == "on":
            yield windows.backed_up(site, self.window, release.id)
        if not self.closed:
            yield stays
        yield from work.stages(self.work, site, seen, places)
        if self.work:
            back = Reopening(site, seen, places, self.page, self.workers, self.gate, self.window)
            yield from back.stages(self.verify, watch=self.watch, outcome="done")
        yield from hooks.stages(self.hooks, "run", "after", places)
