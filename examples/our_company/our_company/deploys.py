"""How we deploy: a few hosts first, watched for long; then the others, half of all hosts at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate, Plan
from dojo_deploy.release import Observed, Release
from dojo_deploy.strategies import Bake, Migrate, Rolling


@dataclass(frozen=True)
class Canary:
    """`canaries` hosts, a number or a share, are watched for `watch` seconds before the others follow."""

    release: ClassVar[str] = "build"

    canaries: int | str = 1
    watch: float = 300.0
    migrate: Migrate | None = None
    gate: Gate = Gate()
    limit: str = ""

    @property
    def asks(self) -> Mapping[str, str]:
        return self._rolling.asks

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        """Raises RefusedError as rolling does."""
        plan = self._rolling.plan(site, release, seen)
        return replace(plan, strategy="canary", notes=(*plan.notes, f"the canaries are watched for {self.watch:g} s"))

    @property
    def _rolling(self) -> Rolling:
        # Half of the others at a time: a balancer without a host serves nobody.
        batches = (self.canaries, "50%")
        return Rolling(
            batches=batches, bake=Bake(first=self.watch), migrate=self.migrate, gate=self.gate, limit=self.limit
        )
