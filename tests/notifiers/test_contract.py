"""What every notifier promises, whatever its kind: told once, kept up to date, bounded, the token nowhere else."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.config import inventory_from_document
from dojo_deploy.errors import ConfigError, NoticeError
from dojo_deploy.interfaces import Notifier
from dojo_deploy.notifiers import KINDS
from dojo_deploy.secrets import Secret
from dojo_deploy.testing.notifiers import NOTICE, NotifierContract
from tests.notifiers.page import TOKEN, Page, status_page

SETTINGS: dict[str, dict[str, object]] = {"status_page": {}, "statuspage.io": {"page": "kctbh9vrtdwd"}}
WITHIN = 1.0


@pytest.fixture
def page() -> Iterator[Page]:
    with status_page() as page:
        yield page


@pytest.fixture(params=sorted(KINDS))
def notifier(request: pytest.FixtureRequest, page: Page, tmp_path: Path) -> Notifier:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return made(request.param, page, Secret("file", str(tmp_path / "token")))


def made(kind: str, page: Page, token: Secret) -> Notifier:
    module, _, name = KINDS[kind].partition(":")
    url = page.url if kind == "status_page" else f"http://127.0.0.1:{page.port}/v1"
    settings: dict[str, Any] = {"url": url, "token": token, "within": WITHIN, **SETTINGS[kind]}
    found: Notifier = getattr(importlib.import_module(module), name)(**settings)
    return found


@pytest.fixture
def session() -> Any:
    return SimpleNamespace(clock=SystemClock(), cancelled=threading.Event())


class TestEveryNotifier(NotifierContract):
    within = WITHIN

    @pytest.fixture
    def far(self, page: Page) -> Page:
        return page


def test_an_entry_says_when_and_can_be_found_by_its_text(notifier: Notifier, page: Page, session: Any) -> None:
    notifier.tell(session, NOTICE, "")
    assert (page.one["scheduled_for"], page.one["scheduled_until"]) == (NOTICE.begins, NOTICE.ends)
    assert "We upgrade. [w-1]" in page.one.values()
    assert notifier.is_public


@pytest.mark.parametrize("fault", ["lose", "500"])
def test_a_lost_answer_makes_no_second_entry(notifier: Notifier, page: Page, session: Any, fault: str) -> None:
    page.faults = ["", fault]  # of the look, and of the POST behind it

    known = notifier.tell(session, NOTICE, "")

    assert page.one["id"] == known
    assert [method for method, *_ in page.requests].count("POST") == (1 if fault == "lose" else 2)


def test_an_entry_that_somebody_removed_is_made_again(notifier: Notifier, page: Page, session: Any) -> None:
    known = notifier.tell(session, NOTICE, "")
    page.entries.clear()

    assert notifier.tell(session, replace(NOTICE, status="in_progress"), known) == page.one["id"]


def test_a_page_that_lists_nothing_is_told_nevertheless(notifier: Notifier, page: Page, session: Any) -> None:
    page.lists = False

    known = notifier.tell(session, NOTICE, "")

    assert notifier.tell(session, replace(NOTICE, status="completed"), known) == known
    assert page.course == ["scheduled", "completed"]


@pytest.mark.parametrize("fault", ["slow", "drip", "500", "401"])
def test_trouble_is_an_error_in_bounded_time_and_shows_no_token(
    notifier: Notifier, page: Page, session: Any, fault: str
) -> None:
    page.stuck = fault
    started = time.monotonic()

    with pytest.raises(NoticeError) as caught:
        notifier.tell(session, NOTICE, "")

    assert time.monotonic() - started < WITHIN + 1.5
    assert TOKEN not in str(caught.value)
    if fault == "401":
        assert len(page.requests) == 1, "a token that is refused once is refused again"


def test_the_token_follows_no_redirect(notifier: Notifier, page: Page, session: Any) -> None:
    with status_page() as other:
        page.stuck, page.elsewhere = "302", other.url
        with pytest.raises(NoticeError, match=r"redirects to .* which is not followed"):
            notifier.tell(session, NOTICE, "")
        assert other.requests == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_token_is_never_sent_unencrypted(kind: str) -> None:
    settings = {"kind": kind, "url": "http://status.example.org/api", "token": {"env": "T"}, **SETTINGS[kind]}
    document = {
        "app": {"name": "shop", "environment": "test", "root": "/srv/shop"},
        "hosts": {"web": ["web1"]},
        "notifiers": {"page": settings},
    }
    with pytest.raises(ConfigError, match=r"notifiers\.page\.url: the token would go there unencrypted"):
        inventory_from_document(document)
    settings["url"] = "https://status.example.org/api"
    assert inventory_from_document(document).notifiers["page"].is_public


@pytest.mark.parametrize("token", ["", "two\r\nX-Other: lines"])
def test_a_token_that_is_no_header_is_said(page: Page, session: Any, tmp_path: Path, token: str) -> None:
    (tmp_path / "odd").write_text(token)
    with pytest.raises((NoticeError, ConfigError)) as caught:
        made("status_page", page, Secret("file", str(tmp_path / "odd"))).tell(session, NOTICE, "")
    assert "X-Other" not in str(caught.value)
    assert page.entries == {}
