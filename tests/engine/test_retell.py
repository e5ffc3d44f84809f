"""A run told again: by the journal here, by those that sessions left in the store, and else by what was noted there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine import ledger
from dojo_deploy.engine.journal import Journal
from dojo_deploy.engine.retell import keep, retell
from dojo_deploy.errors import RefusedError, StoreError
from dojo_deploy.events import Event, OutputWritten, RunFinished, RunStarted, StepFinished, StepStarted, UndoStarted
from dojo_deploy.interfaces import Store
from dojo_deploy.stores.directory import DirectoryStore
from tests.engine.test_ledger import HEADER

RUN = HEADER.run
Written = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    found = DirectoryStore(tmp_path / "store", SystemClock())
    ledger.write_header(found, HEADER)
    return found


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A machine's journal with the sessions of these generations, each of `lines` lines of output."""

    def write(machine: str, *generations: int, lines: int = 2) -> Path:
        path = tmp_path / machine / "journal.jsonl"
        journal = Journal(path)
        for generation in generations:
            for event in session(generation, lines):
                journal.write(event)
        journal.close()
        return path

    return write


def session(generation: int, lines: int) -> list[Event]:
    told: list[Event] = [
        RunStarted(run=RUN, scope="shop-test", strategy="rolling", release="r2", generation=generation)
    ]
    told += [OutputWritten(step="s/web1/x", host="web1", line=f"{generation}.{number}") for number in range(lines)]
    at = f"2026-11-23T1{generation}:00:00.000Z"
    return [replace(event, seq=number, at=at) for number, event in enumerate(told, 1)]


def lines(events: tuple[Event, ...]) -> list[str]:
    return [event.line for event in events if isinstance(event, OutputWritten)]


def test_a_journal_on_this_machine_is_enough(store: Store, written: Written) -> None:
    told = retell(store, RUN, written("here", 1, 2))
    assert (lines(told.events), told.missing) == (["1.0", "1.1", "2.0", "2.1"], ())


def test_a_session_of_another_machine_comes_from_the_store_in_its_place(store: Store, written: Written) -> None:
    assert keep(store, RUN, 2, written("there", 2))
    told = retell(store, RUN, written("here", 1, 3))
    assert (lines(told.events), told.missing) == (["1.0", "1.1", "2.0", "2.1", "3.0", "3.1"], ())


def test_of_two_accounts_of_a_session_the_longer_one_is_told(store: Store, written: Written) -> None:
    keep(store, RUN, 1, written("there", 1, lines=5))
    assert len(lines(retell(store, RUN, written("here", 1, lines=3)).events)) == 5
    assert len(lines(retell(store, RUN, written("again", 1, lines=7)).events)) == 7


def test_what_the_store_has_in_notes_alone_is_told_with_what_is_missing(store: Store, tmp_path: Path) -> None:
    notes = ledger.Notes(store, generation=4)
    at = "2026-11-23T14:45:0{}.000Z"
    notes.note(RUN, "intent", {"step": "migrate/web1/migrate", "at": at.format(1)})
    notes.note(RUN, "outcome", {"step": "migrate/web1/migrate", "at": at.format(3)})
    notes.note(RUN, "undo", {"reason": "web2 failed", "at": at.format(4)})
    notes.note(
        RUN, "finished", {"verdict": "rolled back", "reason": "so", "exit_code": 20, "seconds": 9.0, "at": at.format(9)}
    )
    told = retell(store, RUN, tmp_path / "none.jsonl")
    kinds = ["RunStarted", "PlanMade", "StepStarted", "StepFinished", "UndoStarted", "RunFinished"]
    assert [type(event).__name__ for event in told.events] == kinds
    started, finished = told.events[2], told.events[-1]
    assert isinstance(started, StepStarted) and (started.host, started.name, started.at) == (
        "web1",
        "migrate",
        at.format(1),
    )
    assert isinstance(finished, RunFinished) and (finished.verdict, finished.exit_code) == ("rolled back", 20)
    (missing,) = told.missing
    assert "Session 4 left" in missing and "times" not in missing
    assert "the requests and the census are not in the store" in missing


def test_notes_of_before_times_were_noted_say_that_there_are_none(store: Store, tmp_path: Path) -> None:
    ledger.Notes(store).note(RUN, "finished", {"verdict": "rolled back", "reason": "so"})
    told = retell(store, RUN, tmp_path / "none.jsonl")
    assert told.missing[0].endswith("; no times are recorded.") and {event.at for event in told.events} == {HEADER.at}


def test_a_session_that_left_only_notes_stands_between_those_that_left_more(store: Store, written: Written) -> None:
    ledger.Notes(store, generation=2).note(RUN, "undo", {"reason": "because", "at": "2026-11-23T12:00:00.000Z"})
    told = retell(store, RUN, written("here", 1, 3))
    order = [event.generation if isinstance(event, RunStarted) else 0 for event in told.events]
    assert [generation for generation in order if generation] == [1, 2, 3]
    assert any(isinstance(event, UndoStarted) for event in told.events) and len(told.missing) == 1
    assert not any(isinstance(event, StepFinished) for event in told.events), "nothing is made up"


def test_a_run_that_left_nothing_but_its_header_is_told_as_that(store: Store, tmp_path: Path) -> None:
    told = retell(store, RUN, tmp_path / "none.jsonl")
    assert [type(event).__name__ for event in told.events] == ["RunStarted", "PlanMade"]
    assert "No session left a journal" in told.missing[0]


def test_a_damaged_journal_is_said_and_the_stores_is_taken(store: Store, written: Written) -> None:
    path = written("here", 1)
    keep(store, RUN, 1, path)
    path.write_bytes(path.read_bytes().replace(b"1.0", b"9.9"))
    told = retell(store, RUN, path)
    assert lines(told.events) == ["1.0", "1.1"] and "is damaged in line 2" in told.missing[0]


def test_a_damaged_journal_in_the_store_is_said(store: Store, written: Written) -> None:
    store.put(f"runs/{RUN}/journal-2.jsonl.gz", b"no gzip")
    told = retell(store, RUN, written("here", 1))
    assert lines(told.events) == ["1.0", "1.1"] and "journal-2.jsonl.gz in the store cannot be read" in told.missing[0]


class Away:
    """A store that does not answer."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def fail(*_: object, **__: object) -> object:
            raise StoreError("no route to the store")

        return fail


def test_without_the_store_the_journal_here_is_told_and_that_is_said(written: Written, tmp_path: Path) -> None:
    away: Store = Away()  # type: ignore[assignment]
    told = retell(away, RUN, written("here", 1))
    assert lines(told.events) == ["1.0", "1.1"] and "(no route to the store)" in told.missing[0]
    with pytest.raises(StoreError):
        retell(away, RUN, tmp_path / "none.jsonl")
    assert not keep(away, RUN, 1, tmp_path / "none.jsonl")


def test_a_run_that_nobody_knows_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no run nope"):
        retell(store, "nope", tmp_path / "none.jsonl")
