"""A maintenance window: when it is, how far it has come, and what was decided about it. Values only; times are UTC."""

from __future__ import annotations

import calendar
import secrets
import time
from dataclasses import dataclass, replace

from dojo_deploy.clock import utc
from dojo_deploy.notices import Notice

SCHEDULED, CLOSED, OPENED, OVER = "scheduled", "closed", "opened", "over"


@dataclass(frozen=True)
class Decision:
    """What somebody decided, and why."""

    at: str
    what: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Window:
    """`state`: scheduled, closed (the page is up), opened (it is down, and the site is watched) or over.

    `outcome` of one that is over: done, aborted or cancelled.
    """

    id: str
    begins: str
    ends: str
    title: str
    text: str = ""
    state: str = SCHEDULED
    outcome: str = ""
    course: tuple[Decision, ...] = ()

    @property
    def starts_at(self) -> float:
        """Seconds since 1970."""
        return seconds(self.begins)

    @property
    def ends_at(self) -> float:
        return seconds(self.ends)

    @property
    def span(self) -> str:
        """For people: `2026-12-01 02:00 to 04:00 UTC`."""
        day, end_day = self.begins[:10], self.ends[:10]
        until = self.ends[11:16] if day == end_day else f"{end_day} {self.ends[11:16]}"
        return f"{day} {self.begins[11:16]} to {until} UTC"

    def noted(self, at: float, what: str, *, by: str = "", reason: str = "") -> Window:
        """With one more decision; said twice in a row it is one."""
        last = self.course[-1] if self.course else None
        if last and (last.what, last.by, last.reason) == (what, by, reason):
            return self
        return replace(self, course=(*self.course, Decision(utc(at), what, by, reason)))

    def notice(self, status: str, text: str) -> Notice:
        return Notice(self.id, status, self.title, text, self.begins, self.ends)


def new_id(now: float) -> str:
    return f"m-{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(3)}"


def seconds(moment: str) -> float:
    """Seconds since 1970 of a UTC time as `utc` writes it. Raises ValueError."""
    whole, _, rest = moment.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + (float(f"0.{rest}") if rest else 0.0)
