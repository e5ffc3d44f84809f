"""Maintenance windows as functions: scheduled, begun, extended, ended, looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy import outbox
from dojo_deploy.app.plans import choose
from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.clock import utc
from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError, DojoError, RefusedError
from dojo_deploy.plan import Plan
from dojo_deploy.runs.begin import look_and_plan, site_lanes
from dojo_deploy.runs.conduct import Result, Wishes, conduct, go_on
from dojo_deploy.runs.which import present
from dojo_deploy.session import OpenSession
from dojo_deploy.strategies.maintenance import Maintenance
from dojo_deploy.strategies.reopen import Reopen
from dojo_deploy.windows import diary
from dojo_deploy.windows.notice import announced, moment, not_yet
from dojo_deploy.windows.window import CLOSED, OPENED, OVER, SCHEDULED, Window, new_id

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Strategy

Overrides = Mapping[str, str] | None
RUNS = ("maintenance", "reopen")
SHARED = ("page", "workers", "verify", "gate", "watch", "hooks", "on_interrupt")
UNANNOUNCED = "begun without notice"
TEXT = "The site will be unavailable"


@dataclass(frozen=True)
class View:
    """How it stands. `closed`: whether the balancer shows the page; None when that cannot be known now."""

    window: Window | None
    announced: str
    closed: bool | None
    waiting: tuple[outbox.Letter, ...]
    before: tuple[Window, ...] = ()


def schedule(
    inventory: Site = None,
    *,
    at: str,
    lasts: float = 0.0,
    title: str = "Scheduled maintenance",
    text: str = TEXT,
    reason: str = "",
    overrides: Overrides = None,
) -> View:
    """A window from `at` (`2026-12-01T02:00`, UTC) for `lasts` seconds, remembered, and told to the status page.

    Raises RefusedError when that is too soon for the notice that users are to have, unless there is a `reason`, and
    while another window is not over.
    """
    with opening(inventory) as session:
        settings, now = _settings(session, overrides), session.clock.now()
        begins = moment(at, now)
        if begins < now:
            raise ConfigError(f"{at} is over", key="--at", hint="a time to come, in UTC")
        ahead = begins - now
        if ahead < settings.notice and not reason:
            raise RefusedError(
                f"{at} is in {ahead / 3600:.1f} hours, and users are to have {settings.notice / 3600:g} hours' notice",
                hint='a later --at, or --reason "why it cannot wait", which is recorded',
            )
        made = Window(new_id(now), utc(begins), utc(begins + (lasts or settings.lasts)), title, text)
        window = diary.add(session.store, made.noted(now, "scheduled", by=_who(), reason=reason))
        outbox.post(session, window.notice("scheduled", f"{text}: {window.span}."))
        return _view(session, window)


def start(
    inventory: Site = None, *, reason: str = "", overrides: Overrides = None, wishes: Wishes | None = None
) -> Result:
    """Closes the site and does the work, in the window that was scheduled.

    Raises RefusedError before the notice has run, or without a window, unless there is a `reason`; else as `deploy`.
    """
    with opening(inventory) as session:
        window, chosen = _begins(session, _settings(session, overrides), reason)
        try:
            return _carried_out(session, chosen, wishes, reason)
        except DojoError:
            found = diary.find(session.store, window.id)
            if found.state == SCHEDULED and found.course[0].what == UNANNOUNCED:
                _ended(session, window, "cancelled")
            raise


def extend(inventory: Site = None, *, by: float, reason: str = "") -> View:
    """The window lasts `by` seconds longer, counted from now if it is over already; users are told."""
    if by <= 0:
        raise ConfigError("says how much longer", key="--by", hint="--by 30m")
    with opening(inventory) as session:
        window, now = diary.unfinished(session.store), session.clock.now()

        def longer(found: Window) -> Window:
            ends = utc(max(found.ends_at, now) + by)
            return replace(found, ends=ends).noted(now, f"extended to {ends[:16]}", by=_who(), reason=reason)

        window = diary.change(session.store, window.id, longer)
        status = {SCHEDULED: "scheduled", OPENED: "verifying"}.get(window.state, "in_progress")
        outbox.post(session, window.notice(status, f"The maintenance lasts longer: {window.span}."))
        return _view(session, window)


def finish(inventory: Site = None, *, overrides: Overrides = None, wishes: Wishes | None = None) -> Result:
    """Verifies, opens the site and watches it: the work is done. Raises RefusedError when no window has begun."""
    with opening(inventory) as session:
        window = diary.unfinished(session.store)
        if window.state == SCHEDULED:
            raise RefusedError(
                f"{window.title!r} has not begun", hint="invoke maintenance.start, or .abort to cancel it"
            )
        return _carried_out(session, _reopen(session, window, "done", overrides), wishes, "")


def abort(
    inventory: Site = None, *, reason: str = "", overrides: Overrides = None, wishes: Wishes | None = None
) -> Result:
    """Cancels a window that has not begun, or undoes its run and brings the site back; without one, does nothing."""
    with opening(inventory) as session:
        if _has_open_run(session):
            undone = go_on(session, complete(session, replace(wishes or Wishes(), reason=reason)), abort=True)
            if undone.verdict not in ("aborted", "nothing to do"):
                return undone
    with opening(inventory) as session:
        window = diary.current(session.store)
        if window is None and not session.inventory.balancer.closed(session):
            return Result("", "nothing to do", reason="no maintenance window is scheduled or open")
        if window is None:  # somebody has put the page up without us
            now = session.clock.now()
            window = diary.add(session.store, Window(new_id(now), utc(now), utc(now), "Maintenance", state=CLOSED))
        if window.state == SCHEDULED:
            _ended(session, window, "cancelled", reason)
            outbox.post(session, window.notice("completed", "The maintenance is cancelled."))
            return Result(
                "", "nothing to do", reason=f"{window.title!r} ({window.span}) is cancelled; the site is open"
            )
        return _carried_out(session, _reopen(session, window, "aborted", overrides), wishes, reason)


def status(inventory: Site = None) -> View:
    """The window, and what is still to be told; that is sent now, if it can be."""
    with opening(inventory) as session:
        for box in outbox.waiting(session.store):
            outbox.deliver(session, box.of)
        return _view(session, diary.current(session.store))


def plan(inventory: Site = None, verb: str = "start", *, overrides: Overrides = None) -> Plan:
    """What `start`, `finish` or `abort` would do now. Changes nothing; what would be refused is a note."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        window, now = diary.current(session.store), session.clock.now()
        notes: tuple[str, ...] = ()
        if verb == "start":
            settings = _settings(session, overrides)
            closed = window is not None and window.state == CLOSED
            chosen: Strategy = replace(settings, window=window.id if window else "m-unscheduled", closed=closed)
            why = not_yet(session, window, settings.notice, now)
            notes = tuple(f"refused without --reason: {text}" for text in why)
        else:
            chosen = _reopen(
                session, diary.unfinished(session.store), "done" if verb == "finish" else "aborted", overrides
            )
        _, made = look_and_plan(session, chosen, present, executor, platform=False)
        return replace(made, notes=(*made.notes, *notes))


def _begins(session: OpenSession, settings: Maintenance, reason: str) -> tuple[Window, Maintenance]:
    """The window, with the reason for which it begins nevertheless, and what is done in it. Raises RefusedError."""
    store, now = session.store, session.clock.now()
    for box in outbox.waiting(store):
        outbox.deliver(session, box.of)
    window = diary.current(store)
    why = not_yet(session, window, settings.notice, now)
    if why and not reason:
        raise RefusedError(
            f"the maintenance must not begin: {'; '.join(why)}",
            hint='--reason "why it cannot wait" begins nevertheless, and is recorded'
            + ("" if window else "; or invoke maintenance.schedule --at …"),
        )
    if window is None:
        made = Window(new_id(now), utc(now), utc(now + settings.lasts), "Maintenance", TEXT)
        window = diary.add(store, made.noted(now, UNANNOUNCED, by=_who(), reason=reason))
    elif why:
        told = f"begun although {'; '.join(why)}"
        window = diary.change(store, window.id, lambda found: found.noted(now, told, by=_who(), reason=reason))
    return window, replace(settings, window=window.id, closed=window.state == CLOSED)


def _carried_out(session: OpenSession, chosen: Strategy, wishes: Wishes | None, reason: str) -> Result:
    wishes = complete(session, replace(wishes or Wishes(), reason=reason))
    return conduct(
        session, chosen, present, wishes, EventTrail(session.clock, wishes.subscribers), artifact=None, platform=False
    )


def _reopen(session: OpenSession, window: Window, outcome: str, overrides: Overrides) -> Reopen:
    settings = _settings(session, overrides)
    values = {name: getattr(settings, name) for name in SHARED}
    return Reopen(outcome=outcome, window=window.id, closed=window.state == CLOSED, **values)


def _settings(session: OpenSession, overrides: Overrides) -> Maintenance:
    found = choose("maintenance", session.inventory, overrides=overrides)
    if not isinstance(found, Maintenance):
        raise ConfigError("is no maintenance", where="strategies/maintenance.yml", key="strategy")
    return found


def _ended(session: OpenSession, window: Window, outcome: str, reason: str = "") -> None:
    now, by = session.clock.now(), _who()
    diary.change(
        session.store,
        window.id,
        lambda found: replace(found, state=OVER, outcome=outcome).noted(now, outcome, by=by, reason=reason),
    )


def _has_open_run(session: OpenSession) -> bool:
    entry = lock.read(session.store)
    header = ledger.find_header(session.store, entry.open) if entry and entry.open else None
    return header is not None and header.plan.get("strategy") in RUNS


def _view(session: OpenSession, window: Window | None) -> View:
    try:
        closed: bool | None = session.inventory.balancer.closed(session)
    except DojoError:
        closed = None
    letters = (letter for box in outbox.waiting(session.store) for letter in box.waiting)
    before = (each for each in diary.read(session.store) if each.state == OVER)
    return View(window, announced(session, window) if window else "", closed, tuple(letters), tuple(before))


def _who() -> str:
    return str(lock.Holder.here())
