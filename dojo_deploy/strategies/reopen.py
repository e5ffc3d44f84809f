"""Reopen: a window whose page is up ends; the work was done by hand, or is given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import Inventory, Page
from dojo_deploy.plan import Gate, Plan
from dojo_deploy.release import Observed, Release
from dojo_deploy.steps import hooks, windows
from dojo_deploy.steps.hooks import Hook
from dojo_deploy.steps.reopening import Reopening, served
from dojo_deploy.steps.work import Check
from dojo_deploy.steps.workers import Workers


@dataclass(frozen=True)
class Reopen:
    """Verify → ready → workers → open → watch → tell. The settings are those of the maintenance.

    `outcome` is `done`, or `aborted`: then nothing is verified and nobody watches, but the gates have to pass.
    """

    release: ClassVar[str] = "present"

    outcome: str = "done"
    page: Page = Page()
    workers: Workers = Workers()
    verify: tuple[Check, ...] = ()
    gate: Gate = Gate()
    watch: float = 3600.0
    hooks: tuple[Hook, ...] = ()
    on_interrupt: str = "halt"
    window: str = ""
    closed: bool = True  # the page is up

    def __post_init__(self) -> None:
        if self.outcome not in ("done", "aborted"):
            raise ConfigError(f"{self.outcome!r} is not possible", key="outcome", hint="done or aborted")

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError: nothing is deployed."""
        if not self.window:
            raise RefusedError("nothing says which window ends", hint="invoke maintenance.finish")
        places = served(site, seen)
        back = Reopening(site, seen, places, self.page, self.workers, self.gate, self.window)
        gives_up = self.outcome == "aborted"
        verify, watch = ((), 0.0) if gives_up else (self.verify, self.watch)
        return Plan(
            "reopen",
            release,
            (
                windows.ending(self.window, self.outcome, closed=self.closed),
                *back.stages(verify, watch=watch, outcome=self.outcome, closed=self.closed),
            ),
            slot=seen.live,
            notes=seen.warnings,
            on_interrupt=self.on_interrupt,
            after_failure=(*windows.troubled(self.window), *hooks.failure_stages(self.hooks, places)),
            window=self.window,
        )
