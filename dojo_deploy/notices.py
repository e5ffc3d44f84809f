"""What people outside are told, and the seam to whoever tells them: a status page, say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session


@dataclass(frozen=True)
class Notice:
    """One thing to be told.

    `of` names what it is about, and is the same for all that is told of that; it stands in the text, too, so that it
    is found again where an answer was lost. `status`: scheduled, in_progress, verifying or completed. Times are UTC.
    """

    of: str
    status: str
    title: str
    text: str
    begins: str = ""
    ends: str = ""

    @property
    def body(self) -> str:
        return f"{self.text} [{self.of}]"


class Notifier(Protocol):
    """Tells people. What it is about is told once and then kept up to date, under the far side's own id."""

    is_public: bool  # users read it there: what is told here is announced

    def tell(self, session: Session, notice: Notice, known: str) -> str:
        """The far side's id of what the notice is about; `known` is that of an earlier notice, or empty.

        Repeatable: whatever was told already is found there, and not told twice. Bounded in time. Raises NoticeError:
        it may or may not have been told, and is to be told again later.
        """
