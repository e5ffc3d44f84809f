"""A window's own steps: what is told of it, the backup inside of it, and the points from which there is no way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dojo_deploy import outbox
from dojo_deploy.backups import create
from dojo_deploy.backups.measured import Said
from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Database, Page
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER, Action, Lane, Stage, Step
from dojo_deploy.steps.maintenance import Close, with_health
from dojo_deploy.windows import diary
from dojo_deploy.windows.window import CLOSED, OPENED, OVER, SCHEDULED

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

STAYS = (
    "the site stays in maintenance; mend what failed, then `invoke maintenance.start` does the work again, "
    "`invoke maintenance.finish` verifies and opens, `invoke maintenance.abort` opens as it is"
)
KEPT = (
    "the work is done and verified, and stays; so does the page: mend what failed, then `invoke maintenance.finish` "
    "opens the site, `invoke maintenance.abort` opens it as it is"
)
SERVES = (
    "the site is open to users; look at it: `invoke status`. `invoke maintenance.finish` watches it once more, "
    "`invoke maintenance.start` closes it again"
)
BEGUN = "The maintenance has begun: the site is unavailable."
NOT_BEGUN = "The maintenance did not take place yet: the site is available."
LONGER = "There is a problem with the maintenance. The site stays unavailable while we work on it."
BACK = "The site is available again. We are watching it."
UNWELL = "The site is available again, and not as it should be yet. We are working on it."
DONE = "The maintenance is completed."
ABORTED = "The maintenance was ended early: the site is available."
STAYING = "The page stays up until the work is verified."
MB = 1_000_000


@dataclass(frozen=True)
class Tell:
    """The window has come so far: the store remembers it, and whoever can be told is told. Nobody is waited for."""

    window: str
    state: str
    status: str
    text: str
    outcome: str = ""

    def preview(self) -> tuple[str, ...]:
        return (f"tell {self.status}: {self.text}",)

    def run(self, session: Session) -> None:
        """Raises StoreError, RefusedError; never for a page that is down."""
        at = session.clock.now()
        window = diary.change(
            session.store,
            self.window,
            lambda found: replace(found, state=self.state, outcome=self.outcome).noted(at, self.text),
        )
        for letter in outbox.post(session, window.notice(self.status, self.text)).waiting:
            session.say(f"{letter.to} could not be told {letter.notice.status!r}, and will be: {letter.trouble}")


@dataclass(frozen=True)
class BackUp:
    """A verified backup, made while nobody writes."""

    database: Database
    window: str
    release: str

    def preview(self) -> tuple[str, ...]:
        return (f"dump {self.database.name} into the store, read it back, then write its manifest",)

    def run(self, session: Session) -> None:
        """Raises BackupError, LostError, StoreError: there is no new backup."""
        by = f"maintenance window {self.window}"
        made = create.create(session, self.database, by=by, release=self.release, tell=Said(session))
        session.say(f"backup {made.id}: {sum(made.rows.values()):,} rows, {made.dump.size / MB:,.1f} MB, read back")


@dataclass(frozen=True)
class Note:
    """Somebody has decided something about the window."""

    window: str
    what: str

    def preview(self) -> tuple[str, ...]:
        return (f"note: {self.what}",)

    def run(self, session: Session) -> None:
        at = session.clock.now()
        diary.change(session.store, self.window, lambda found: found.noted(at, self.what))


@dataclass(frozen=True)
class StayClosed:
    """The page is put up and proven once more: what follows is never done on a site that is open."""

    close: Close
    window: str

    def preview(self) -> tuple[str, ...]:
        return ("prove once more that strangers get the page; from here on it stays up until the work is verified",)

    def run(self, session: Session) -> None:
        self.close.run(session)
        at = session.clock.now()
        diary.change(session.store, self.window, lambda found: replace(found, state=CLOSED).noted(at, STAYING))


def announced(window: str) -> Stage:
    """Users read that it begins; undone by saying that it did not."""
    undone = Step("take back", Tell(window, SCHEDULED, "scheduled", NOT_BEGUN))
    return _alone("announce", Step("announce", Tell(window, CLOSED, "in_progress", BEGUN), undo=undone))


def backed_up(site: Inventory, window: str, release: str) -> Stage:
    """Raises RefusedError for a site whose database nobody has named."""
    if site.database is None:
        raise RefusedError(
            "the inventory names no database, so there would be no backup inside of the window",
            hint="database: {kind: postgres, …}, or `backup: off` in strategies/maintenance.yml",
        )
    within = site.database.backups.within  # of each of its passes
    return _alone("backup", Step("backup", BackUp(site.database, window, release), deadline=3 * within))


def stay_closed(site: Inventory, page: Page, window: str) -> Stage:
    """From here on a failure leaves the page up."""
    action = StayClosed(Close(site.balancer, with_health(site, page)), window)
    return _alone("stay closed", Step("stay closed", action, point_of_no_return=True, keeps=STAYS))


def ending(window: str, outcome: str, *, closed: bool) -> Stage:
    """Until the page is down a failure leaves it up; where it is down already, it stays so."""
    what = f"it is to end as {outcome}"
    keeps = STAYS if closed else SERVES
    return _alone("end", Step("end", Note(window, what), point_of_no_return=True, keeps=keeps))


def verified(window: str) -> Stage:
    """From here on nothing undoes the work."""
    step = Step("verified", Note(window, "the work is verified"), point_of_no_return=True, keeps=KEPT)
    return _alone("verified", step, phase="work")


def reopened(window: str) -> Stage:
    """From here on a failure leaves the site open."""
    step = Step("opened", Tell(window, OPENED, "verifying", BACK), point_of_no_return=True, keeps=SERVES)
    return _alone("opened", step)


def over(window: str, outcome: str) -> Stage:
    text = ABORTED if outcome == "aborted" else DONE
    return _alone("over", Step("over", Tell(window, OVER, "completed", text, outcome)))


def troubled(window: str) -> tuple[Stage, ...]:
    """What users read when something failed, and in which phase."""
    closed = _alone("tell users", Step("tell", Tell(window, CLOSED, "in_progress", LONGER)), phase="work")
    opened = _alone("tell users", Step("tell", Tell(window, OPENED, "verifying", UNWELL)), phase="watch")
    return (replace(closed, name="tell users: closed"), replace(opened, name="tell users: open"))


def _alone(name: str, step: Step, phase: str = "run") -> Stage:
    assert isinstance(step.action, Action)
    return Stage(name, (Lane(CONTROLLER, (step,)),), phase=phase)
