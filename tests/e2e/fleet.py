"""The fleet as tests see it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy import app, load_inventory
from dojo_deploy.events import CensusTaken, Event
from dojo_deploy.inventory import Inventory
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes

# The shipped patience is for people; a test waits for nothing that it does not test.
QUICK = {"bake.first": "0s", "gate.every": "100ms", "gate.in_a_row": "2"}


@dataclass(frozen=True)
class Fleet:
    """One embedded fleet, named by its inventory file."""

    inventory: Path

    @property
    def site(self) -> Inventory:
        return load_inventory(self.inventory)

    def deploy(
        self,
        ref: str,
        *,
        overrides: Mapping[str, str] | None = None,
        limit: str = "",
        probe: float = 0.0,
        at_least: int = 0,
        events: list[Event] | None = None,
    ) -> Result:
        """One deployment in this process; `events` collects what happened."""
        wishes = Wishes(
            probe_rate=probe,
            probe_at_least=at_least,
            subscribers=() if events is None else (events.append,),
        )
        return app.deploy(
            self.inventory, "rolling", ref=ref, limit=limit, overrides={**QUICK, **(overrides or {})}, wishes=wishes
        )

    def reset(self, ref: str) -> None:
        """`ref` on every host, serving, and no run open."""
        app.abort(self.inventory)
        census = app.status(self.inventory)
        if census.verdict == "consistent" and set(census.through_balancer) == {self.release(ref)}:
            return
        result = self.deploy(ref, overrides={"batches": '["100%"]'} if census.verdict == "empty" else None)
        assert result.verdict == "done", result.reason

    def release(self, ref: str) -> str:
        """The id of the newest release of a ref; empty when it was never deployed."""
        return next((known.id for known in app.releases(self.inventory) if known.ref == ref), "")

    def census(self) -> CensusTaken:
        return app.status(self.inventory)

    def answers(self, requests: int = 30) -> Counter[str]:
        """Which release answers through the balancer, over fresh connections."""
        url = f"{self.site.url}/health"
        found: Counter[str] = Counter()
        for _ in range(requests):
            with urllib.request.urlopen(url, timeout=5) as answer:
                found[json.load(answer)["release"]] += 1
        return found

    def invoke(self, *words: str, cwd: Path | None = None, within: float = 120) -> subprocess.CompletedProcess[str]:
        """The command line, as a CI job runs it: no terminal, nothing on standard input."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("dojo")), *words, "-i", str(self.inventory)],
            cwd=cwd or self.inventory.parent.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )
