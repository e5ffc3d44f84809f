"""What all lanes of one run share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dojo_deploy.engine.lease import Lease
from dojo_deploy.engine.progress import Progress
from dojo_deploy.events import Event
from dojo_deploy.interfaces import Session
from dojo_deploy.plan import Plan


class Trail(Protocol):
    """The run's write-ahead side: what must be on disk, or in the store, before an effect."""

    def emit(self, event: Event) -> None: ...
    def sync(self) -> None: ...
    def note(self, kind: str, **data: object) -> None: ...


@dataclass(frozen=True)
class Run:
    """What all lanes of one run share."""

    id: str
    plan: Plan
    session: Session
    bound: Callable[[Callable[[str], None]], Session]  # the session, with `say` bound to a step
    lease: Lease
    trail: Trail
    progress: Progress
    stopping: threading.Event  # a lane failed: the others end the step they are in
    artifact: Path | None = None
