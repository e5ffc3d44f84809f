"""What every notifier promises: subclass `NotifierContract` in a test, with yours and what its far side was told."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.errors import NoticeError
from dojo_deploy.interfaces import Notifier
from dojo_deploy.notices import Notice

NOTICE = Notice("w-1", "scheduled", "Upgrade", "We upgrade.", "2026-12-01T02:00:00Z", "2026-12-01T04:00:00Z")


class FarSide(Protocol):
    """Whoever is told, as a test sees them."""

    @property
    def course(self) -> list[str]:
        """The statuses that the only entry there is has had. Anything else than one entry is an error."""

    def down(self) -> None:
        """From now on nothing can be told."""


class NotifierContract:
    """To be given: fixtures `notifier`, and `far`, the FarSide that it tells."""

    within = 1.0  # seconds that the notifier is given for one notice

    @pytest.fixture
    def session(self) -> Any:
        return SimpleNamespace(clock=SystemClock(), cancelled=threading.Event())

    def test_one_entry_is_made_and_kept_up_to_date(self, notifier: Notifier, far: FarSide, session: Any) -> None:
        known = notifier.tell(session, NOTICE, "")
        assert known
        assert notifier.tell(session, replace(NOTICE, status="in_progress"), known) == known
        assert notifier.tell(session, replace(NOTICE, status="completed"), known) == known
        assert far.course == ["scheduled", "in_progress", "completed"]

    def test_what_was_told_is_found_without_its_id(self, notifier: Notifier, far: FarSide, session: Any) -> None:
        known = notifier.tell(session, NOTICE, "")
        assert notifier.tell(session, replace(NOTICE, status="in_progress"), "") == known
        assert far.course == ["scheduled", "in_progress"]

    def test_what_cannot_be_told_is_a_notice_error_in_bounded_time(
        self, notifier: Notifier, far: FarSide, session: Any
    ) -> None:
        far.down()
        started = time.monotonic()
        with pytest.raises(NoticeError):
            notifier.tell(session, NOTICE, "")
        assert time.monotonic() - started < self.within + 1.5

    def test_it_says_whether_users_read_it(self, notifier: Notifier) -> None:
        assert notifier.is_public in (True, False)
