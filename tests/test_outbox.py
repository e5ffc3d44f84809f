"""The outbox: whatever the page is like, a notice is told once, in its order, and never forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import outbox
from dojo_deploy.config import inventory_from_document
from dojo_deploy.notices import Notice
from dojo_deploy.session import OpenSession, opened
from tests.notifiers.page import TOKEN, Page, status_page

FIRST = Notice("w-1", "scheduled", "Upgrade", "We upgrade.", "2026-12-01T02:00:00Z", "2026-12-01T04:00:00Z")
SECOND = replace(FIRST, status="in_progress", text="We have begun.")


@dataclass
class Bed:
    page: Page
    document: dict[str, Any]

    def session(self) -> OpenSession:
        return OpenSession(inventory_from_document(self.document))


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    (tmp_path / "token").write_text(TOKEN)
    with status_page() as page:
        notifier = {"kind": "status_page", "url": page.url, "token": {"file": str(tmp_path / "token")}, "within": 1}
        document: dict[str, Any] = {
            "app": {"name": "shop", "environment": "test", "root": str(tmp_path)},
            "hosts": {"web": ["web1"]},
            "store": {"kind": "directory", "path": str(tmp_path / "store")},
            "notifiers": {"page": notifier},
        }
        yield Bed(page, document)


def test_a_page_that_is_down_is_told_later_and_in_order(bed: Bed) -> None:
    bed.page.down()
    with opened(bed.session().inventory) as session:
        box = outbox.post(session, FIRST)
        assert [letter.trouble != "" for letter in box.waiting] == [True]
        assert len(outbox.post(session, SECOND).waiting) == 2
    bed.page.up()
    with opened(bed.session().inventory) as elsewhere:
        (left,) = outbox.waiting(elsewhere.store)
        box = outbox.deliver(elsewhere, left.of)

        assert box.waiting == () and outbox.waiting(elsewhere.store) == ()
        assert bed.page.course == ["scheduled", "in_progress"]
        assert box.ids == {"page": bed.page.one["id"]} and box.told("page")


def test_the_same_notice_is_told_once(bed: Bed) -> None:
    with opened(bed.session().inventory) as session:
        outbox.post(session, FIRST)
        outbox.post(session, FIRST)
        outbox.post(session, SECOND)
        outbox.post(session, FIRST)

    assert bed.page.course == ["scheduled", "in_progress", "scheduled"]


def test_many_at_once_tell_each_notice_once(bed: Bed) -> None:
    notices = [replace(FIRST, text=f"number {number}") for number in range(6)]
    start = threading.Barrier(6)

    def tell(notice: Notice) -> None:
        with opened(bed.session().inventory) as session:
            start.wait(10)
            outbox.post(session, notice)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tell, notices))
    with opened(bed.session().inventory) as session:
        box = outbox.deliver(session, "w-1")

    assert box.waiting == ()
    assert len(bed.page.course) == 6 and len(box.letters) == 6
    assert [method for method, *_ in bed.page.requests].count("POST") == 1


def test_a_courier_that_died_is_replaced_and_one_at_work_is_not(bed: Bed) -> None:
    with opened(bed.session().inventory) as session:
        bed.page.down()
        outbox.post(session, FIRST)
        bed.page.up()
        outbox.change(session.store, "w-1", lambda box: replace(box, courier="other", busy="9999-01-01T00:00:00Z"))
        assert len(outbox.deliver(session, "w-1").waiting) == 1
        outbox.change(session.store, "w-1", lambda box: replace(box, busy="2000-01-01T00:00:00Z"))
        assert outbox.deliver(session, "w-1").waiting == ()


def test_a_notifier_that_is_gone_keeps_nobody_else_waiting(bed: Bed) -> None:
    bed.page.down()
    with opened(bed.session().inventory) as session:
        outbox.post(session, FIRST)
    bed.document["notifiers"] = {"other": bed.document["notifiers"]["page"]}
    bed.page.up()
    with opened(bed.session().inventory) as session:
        box = outbox.post(session, SECOND)

    assert [(letter.to, letter.trouble) for letter in box.waiting] == [
        ("page", "the inventory has no notifier page any more")
    ]
    assert bed.page.course == ["in_progress"]


def test_a_site_without_notifiers_keeps_no_outbox(bed: Bed) -> None:
    bed.document["notifiers"] = {}
    with opened(bed.session().inventory) as session:
        assert outbox.post(session, FIRST).letters == ()
        assert session.store.list("notices/") == ()
