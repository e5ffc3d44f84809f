"""What a job of CI is left with, however its command ends: files, and annotations."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dojo_deploy.events import Event
    from dojo_deploy.reporters import Reporter
    from dojo_deploy.session import OpenSession

VERDICTS = {2: "not configured", 10: "refused", 11: "locked", 12: "fenced", 130: "interrupted"}


class Outputs:
    """A subscriber that passes events on to the reporters of CI, and tells them of an end that was no run's.

    Raises ConfigError for a file that cannot be written; what goes wrong later changes nothing of how the command ends.
    """

    def __init__(self, *, junit: str = "", summary: str = "") -> None:
        from dojo_deploy.reporters import for_ci

        self._redact: Callable[[str], str] = str
        self._has_ended = False
        self._inventory = ""
        self._reporters: tuple[Reporter, ...] = for_ci(
            junit=junit, summary=summary, redact=lambda text: self._redact(text)
        )

    def begin(self, session: OpenSession) -> None:
        """From here on it is known what must not be shown, and which file all is about."""
        from dojo_deploy.configuration.finding import name_to_type
        from dojo_deploy.reporters.annotations import Annotations

        if self._reporters:
            self._redact, self._inventory = session.redact, name_to_type(session.inventory.path)
        for reporter in self._reporters:
            if isinstance(reporter, Annotations):
                reporter.file = str(session.inventory.path)

    def __call__(self, event: Event) -> None:
        from dojo_deploy.events import RunFinished

        self._has_ended |= isinstance(event, RunFinished)
        for reporter in self._reporters:
            reporter(event)

    def end(self, verdict: str, code: int, reason: str) -> None:
        """Of a command whose run has not told its end, or that had none."""
        from dojo_deploy.clock import utc
        from dojo_deploy.events import RunFinished

        if not self._has_ended:
            self(
                RunFinished(
                    run="",
                    at=utc(time.time()),
                    verdict=verdict,
                    exit_code=code,
                    seconds=0.0,
                    reason=reason,
                    inventory=self._inventory,
                )
            )

    def close(self) -> None:
        from dojo_deploy.errors import DojoError

        for reporter in self._reporters:
            try:
                reporter.close()
            except DojoError as exc:
                print(exc, file=sys.stderr)

    def cut(self) -> None:
        """Of a command that a second signal ends at once: nothing comes after it."""
        self.end("interrupted", 130, "ended at once by a second signal")
        self.close()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: TracebackType | None) -> None:
        from dojo_deploy.errors import DojoError

        with ExitStack() as last:
            last.callback(self.close)
            if isinstance(exc, DojoError):
                self.end(VERDICTS.get(exc.exit_code, "failed"), exc.exit_code, str(exc))
            elif isinstance(exc, KeyboardInterrupt):
                self.end("interrupted", 130, "no run was on")
            elif exc is not None:
                self.end("failed", 1, type(exc).__name__)
