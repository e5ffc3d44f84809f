"""What a caller asks of a run, whatever its strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dojo_deploy.interfaces import Subscriber
from dojo_deploy.secrets import Redactor


@dataclass(frozen=True)
class Wishes:
    """What is asked of a run beside its strategy. `probe_rate` in requests per second; 0: no prober."""

    limit: str = ""
    by: str = ""
    reason: str = ""
    probe_rate: float = 0.0
    probe_at_least: int = 0
    subscribers: tuple[Subscriber, ...] = ()
    redact: Redactor = field(default_factory=Redactor)
    restore: Callable[[], None] = lambda: None  # terminal and files, before a second signal ends the process
