"""Whether users have been told of a window early enough, and it is time for it."""

from __future__ import annotations

from datetime import datetime, timezone

from dojo_deploy import outbox
from dojo_deploy.clock import utc
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Session
from dojo_deploy.windows.window import SCHEDULED, Window, seconds

EARLY = 60.0  # seconds before its time at which a window may begin
HOUR = 3600.0


def not_yet(session: Session, window: Window | None, notice: float, now: float) -> tuple[str, ...]:
    """Why it must not begin now, in words; one that has begun may be begun again."""
    if window is None:
        return ("no window is scheduled",) if notice else ()
    if window.state != SCHEDULED:
        return ()
    # Whoever scheduled it so late has said why; whoever did so in time has said it of something else.
    scheduled = [one for one in window.course if one.what == "scheduled"]
    hasty = any(one.reason and window.starts_at - seconds(one.at) < notice for one in scheduled)
    return refusals(window, announced(session, window), 0.0 if hasty else notice, now)


def announced(session: Session, window: Window) -> str:
    """When the last of the public notifiers had it (UTC); empty while one has not.

    A site without any has others tell its users: it counts from when the window was scheduled.
    """
    public = [name for name, notifier in session.inventory.notifiers.items() if notifier.is_public]
    box = outbox.read(session.store, window.id)
    told = [box.told(name) for name in public] or [window.course[0].at if window.course else ""]
    return max(told) if all(told) else ""


def refusals(window: Window, announced: str, notice: float, now: float) -> tuple[str, ...]:
    """The same of a window that has not begun. `announced`: when users could first read of it; empty: they cannot."""
    found = []
    if now < window.starts_at - EARLY:
        found.append(f"it begins at {window.begins[:16]}, in {(window.starts_at - now) / HOUR:.1f} hours")
    if now >= window.ends_at:
        found.append(f"it ended at {window.ends[:16]}")
    if notice and not announced:
        found.append("the status page was never told of it")
    elif notice and now - seconds(announced) < notice:
        told = (now - seconds(announced)) / HOUR
        found.append(f"users have known of it for {told:.1f} hours, and are to have {notice / HOUR:g}")
    return tuple(found)


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of `2026-12-01T02:00` (UTC, if it names no offset). Raises ConfigError."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time", key="--at", hint=f"--at {utc(now + 25 * HOUR)[:16]}   (UTC)"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()
