"""A status page with an API of the runbook's kind: JSON, and a bearer token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojo_deploy.notices import Notice
from dojo_deploy.notifiers.client import Client, check_url
from dojo_deploy.secrets import Secret

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session


@dataclass(frozen=True)
class StatusPage:
    """Keys of a notifier of `kind: status_page`. `url`: where its incidents are, `https://…/api/incidents`.

    `POST url` with `status`, `title`, `message`, `reference`, `scheduled_for` and `scheduled_until` makes one and
    answers with its `id`; `PATCH url/ID` changes it; `GET url` lists them. `within` in seconds, for each notice.
    """

    url: str
    token: Secret
    within: float = 10.0

    is_public = True

    def check(self) -> None:
        check_url(self.url)

    def tell(self, session: Session, notice: Notice, known: str) -> str:
        client = Client(self.url.rstrip("/"), "Bearer", self.token, self.within)
        return client.put(session, _entry(notice), notice.of, known)


def _entry(notice: Notice) -> Mapping[str, Any]:
    times = {"scheduled_for": notice.begins, "scheduled_until": notice.ends} if notice.begins else {}
    return {
        "status": notice.status,
        "title": notice.title,
        "message": notice.body,
        "reference": notice.of,
        **times,
    }
