"""Atlassian Statuspage: the same, in its own words. Source: its API's reference, "Create an incident"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojo_deploy.errors import ConfigError
from dojo_deploy.notices import Notice
from dojo_deploy.notifiers.client import Client, check_url
from dojo_deploy.secrets import Secret

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session

NAME = 255  # characters of a name, Atlassian's limit


@dataclass(frozen=True)
class Atlassian:
    """Keys of a notifier of `kind: statuspage.io`. `page`: the page's id. `within` in seconds, for each notice.

    `remind`: subscribers are reminded an hour before a scheduled maintenance.
    """

    page: str
    token: Secret
    remind: bool = True
    url: str = "https://api.statuspage.io/v1"
    within: float = 10.0

    is_public = True

    def check(self) -> None:
        check_url(self.url)
        if not self.page.isalnum():
            raise ConfigError(
                f"{self.page!r} is no id of a page", key="page", hint="it stands in Statuspage's API settings"
            )

    def tell(self, session: Session, notice: Notice, known: str) -> str:
        url = f"{self.url.rstrip('/')}/pages/{self.page}/incidents"
        client = Client(url, "OAuth", self.token, self.within)
        entry = {"incident": self._entry(notice)}
        return client.put(session, entry, notice.of, known)

    def _entry(self, notice: Notice) -> Mapping[str, Any]:
        times = {
            "scheduled_for": notice.begins,
            "scheduled_until": notice.ends,
            "scheduled_remind_prior": self.remind,
            # The run says when: a page that did it by the clock would speak of a window that never began.
            "scheduled_auto_in_progress": False,
            "scheduled_auto_completed": False,
        }
        about = {"name": notice.title[:NAME], "status": notice.status, "body": notice.body}
        return {**about, **(times if notice.begins else {})}
