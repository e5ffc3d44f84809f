"""The end of a run: what is remembered, what is told to the hosts, and what stays open."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dojo_deploy.engine import ledger, lock
from dojo_deploy.engine.lease import RELEASED, Lease
from dojo_deploy.errors import FencedError, OpenRunError, RefusedError, StoreError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.release import Observed, Release, Standby
from dojo_deploy.secrets import Redactor
from tests.engine.rig import Fleet
from tests.engine.tiny import NEW, OLD, Tiny

NOTE = ledger.Notes.note


def _left_open(fleet: Fleet, host: str, run: str = "") -> None:
    """As a host that was away when it should have been told."""
    file = fleet.base / host / ".dojo" / "fence"
    store, generation, ran, state, scope = file.read_text().split()
    assert state == "closed"
    file.write_text(f"{store} {generation} {run or ran} open {scope}\n")


def _cut_off_at_the_end(notes: ledger.Notes, run: str, kind: str, data: dict[str, object]) -> None:
    if kind == ledger.FINISHED:
        raise StoreError("the store is down")
    NOTE(notes, run, kind, data)


def test_a_fence_that_stayed_open_after_its_run_had_ended_is_closed_by_the_next(fleet: Fleet) -> None:
    assert fleet.deploy().verdict == "done"
    _left_open(fleet, "web2")
    assert fleet.deploy(release=Release("v0")).verdict == "done"
    assert fleet.on() == {"web1": "v0", "web2": "v0"}
    assert fleet.is_clean()


def test_a_fence_of_a_run_that_never_ended_refuses_the_next(fleet: Fleet) -> None:
    assert fleet.deploy().verdict == "done"
    _left_open(fleet, "web2", "20200101T000000-abcdef")
    with pytest.raises(OpenRunError, match="web2: run 20200101T000000-abcdef"):
        fleet.deploy(release=Release("v0"))
    assert fleet.on() == {"web1": "v2", "web2": "v2"}


def test_a_fence_of_a_run_that_ended_too_long_ago_to_be_known_is_closed(fleet: Fleet) -> None:
    first = fleet.deploy().run
    _left_open(fleet, "web2", first)
    assert first in ledger.prune(fleet.store(), keep=0, artifacts=0)
    assert fleet.deploy(release=Release("v0")).verdict == "done"
    assert fleet.is_clean()


def test_what_a_run_wrote_of_its_release_is_taken_back_when_it_is_aborted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(ledger.Notes, "note", _cut_off_at_the_end)
        fleet.deploy()
    assert fleet.known().passed
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert (fleet.known().passed, fleet.known("v1").passed) == ("", "2026-01-02T00:00:00Z")
    assert fleet.on() == {"web1": "v1", "web2": "v1"}


def test_a_rollback_that_is_aborted_condemns_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fleet.deploy().verdict == "done"
    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(ledger.Notes, "note", _cut_off_at_the_end)
        fleet.deploy(Tiny(called="rollback"), OLD)
    assert fleet.known().bad
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert (fleet.on(), fleet.known().bad) == ({"web1": "v2", "web2": "v2"}, "")
    assert fleet.known().passed > fleet.known("v1").passed == "2026-01-02T00:00:00Z"


@dataclass(frozen=True)
class Switched(Tiny):
    """A run that also makes another slot the one that serves."""

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        return replace(super().plan(site, release, seen), slot="green", standby=Standby("blue", "v1"))


def test_a_switch_that_is_aborted_is_taken_back_too(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(ledger.Notes, "note", _cut_off_at_the_end)
        fleet.deploy(Switched())
    switched = ledger.read_record(fleet.store())
    assert (switched.live, switched.standby and switched.standby.release) == ("green", "v1")
    assert fleet.go_on(abort=True).verdict == "aborted"
    record = ledger.read_record(fleet.store())
    assert (record.live, record.standby) == ("blue", None)


def test_a_store_that_cannot_be_opened_is_a_refusal_and_no_page(fleet: Fleet) -> None:
    (fleet.base / "file").write_text("")
    fleet.document["store"] = {"kind": "directory", "path": str(fleet.base / "file" / "store")}
    with pytest.raises(RefusedError) as caught:
        fleet.deploy()
    assert caught.value.exit_code == 10


def test_a_tolerated_host_says_nothing_against_a_release_that_serves_elsewhere(fleet: Fleet) -> None:
    fleet.fault("web1", "switch")
    assert fleet.deploy(Tiny(max_failures=1)).verdict == "tolerated"
    assert (fleet.known().bad, fleet.known().passed) == ("", "")
    assert fleet.known().run
    assert fleet.on() == {"web1": "v1 drained", "web2": "v2"}


def test_the_record_masks_what_a_failed_hook_said(fleet: Fleet) -> None:
    (fleet.doors / "password").write_text("hunter22\n")
    result = fleet.deploy(Tiny(hook="cat password >&2; exit 1"), redact=Redactor(["hunter22"]))
    assert result.verdict == "rolled back"
    assert "hook ended 1: ***" in fleet.known().bad
    holds = [file for file in (fleet.base / "store").rglob("*") if file.is_file() and b"hunter22" in file.read_bytes()]
    assert holds == []


def test_without_a_journal_nothing_begins_and_nothing_is_left_open(fleet: Fleet) -> None:
    (fleet.base / "here").mkdir()
    (fleet.base / "here" / ".dojo").write_text("no folder")
    with pytest.raises(RefusedError, match="journal"):
        fleet.deploy()
    assert (fleet.log(), fleet.is_clean()) == ([], True)
    (fleet.base / "here" / ".dojo").unlink()
    assert fleet.deploy().verdict == "done"


def test_a_fenced_run_renews_its_lock_no_longer(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_: Lease) -> None:
        raise FencedError("not renewed for long")

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "check", check)
        result = fleet.deploy()
    assert (result.verdict, result.exit_code) == ("fenced", 12)
    assert [thread.name for thread in threading.enumerate() if thread.name == "lease"] == []
    entry = lock.read(fleet.store())
    assert entry and (entry.state, entry.open) == (RELEASED, result.run)
    assert fleet.go_on().verdict == "done"


def test_a_limited_run_passes_on_some_hosts_only(fleet: Fleet) -> None:
    assert fleet.deploy(limit="web2").verdict == "partial"
    assert (fleet.known().passed, fleet.known().bad) == ("", "")
    assert fleet.on() == {"web1": "v1", "web2": NEW.id}


def test_journals_of_two_machines_do_not_meet(fleet: Fleet) -> None:
    fleet.fault("web1", "switch")
    fleet.deploy(Tiny(on_failure="halt"))
    fleet.go_on(abort=True)
    found = sorted(Path(path).relative_to(fleet.base).parts[0] for path in fleet.base.glob("*/.dojo/runs/*/*/*.jsonl"))
    assert found == ["here", "there"]
