"""How the runs that a store remembers stand: by their own last word, and by what the lock says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine import history, ledger, lock
from dojo_deploy.engine.holder import Holder
from dojo_deploy.interfaces import Store
from dojo_deploy.stores.directory import DirectoryStore
from tests.engine.test_ledger import HEADER

RUN = HEADER.run
GONE = Holder("ann", "ci-7", 812, "another boot", "100")
Take = Callable[[Holder], lock.Lease]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    found = DirectoryStore(tmp_path / "store", SystemClock())
    ledger.write_header(found, HEADER)
    return found


@pytest.fixture
def take(store: Store) -> Iterator[Take]:
    """Takes the lock for RUN; what is still held at the end is given back."""
    taken: list[lock.Lease] = []

    def taking(holder: Holder) -> lock.Lease:
        taken.append(lock.take(store, SystemClock(), run=RUN, ttl=30, holder=holder))
        return taken[-1]

    yield taking
    for lease in taken:
        lease.release(closed=False)


def verdict(store: Store) -> tuple[str, bool]:
    (run,) = history.runs(store)
    return run["verdict"], run["open"]


def test_a_run_that_holds_the_lock_is_running(store: Store, take: Take) -> None:
    take(Holder.here()).open(RUN)
    assert verdict(store) == ("running", True)


def test_a_run_whose_holder_is_dead_is_open(store: Store, take: Take) -> None:
    dead = replace(Holder.here(), pid=2**22 + 1)
    take(dead).open(RUN)
    assert verdict(store) == ("open", True)


def test_a_run_that_gave_the_lock_back_without_an_end_is_open(store: Store, take: Take) -> None:
    lease = take(GONE)
    lease.open(RUN)
    lease.release(closed=False)
    assert verdict(store) == ("open", True)


def test_a_run_that_was_closed_without_a_note_never_began(store: Store, take: Take) -> None:
    lease = take(GONE)
    lease.open(RUN)
    lease.release(closed=True)
    assert verdict(store) == ("never began", False)


def test_a_run_that_noted_an_intent_and_was_closed_is_not_guessed_at(store: Store, take: Take) -> None:
    ledger.Notes(store).note(RUN, "intent", {"step": "x"})
    take(GONE).release(closed=True)
    assert verdict(store) == ("unknown", False)


def test_an_interrupted_run_says_that_it_can_be_gone_on_with(store: Store, take: Take) -> None:
    lease = take(GONE)
    lease.open(RUN)
    ledger.Notes(store).note(RUN, "finished", {"verdict": "interrupted"})
    lease.release(closed=False)
    assert verdict(store) == ("interrupted", True)


def test_runs_are_listed_newest_first_with_the_last_word_of_each(store: Store) -> None:
    ids = [f"2026112{day}T000000-aaaaaa" for day in range(3)]
    for run in ids:
        ledger.write_header(store, replace(HEADER, run=run))
    for run, *ends in ((ids[0], "done"), (ids[1], "interrupted", "rolled back"), (ids[2],)):
        notes = ledger.Notes(store)
        notes.note(run, "intent", {"step": "x"})
        for end in ends:
            notes.note(run, "finished", {"verdict": end, "reason": "so", "at": "2026-11-23T14:45:16.500Z"})
    got = history.runs(store)
    assert [(run["run"], run["verdict"], run["seconds"]) for run in got] == [
        (RUN, "open", None),
        (ids[2], "open", None),
        (ids[1], "rolled back", 21.5),
        (ids[0], "done", 21.5),
    ]
    assert (got[0]["by"], got[0]["strategy"], got[0]["release"], got[0]["ref"]) == ("ann", "rolling", "r2", "main")
    assert len(history.runs(store, limit=2)) == 2


def test_clocks_that_contradict_each_other_give_no_duration(store: Store) -> None:
    ledger.Notes(store).note(RUN, "finished", {"verdict": "done", "at": "2026-11-23T14:44:00.000Z"})
    assert history.runs(store)[0]["seconds"] is None
