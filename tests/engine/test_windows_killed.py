"""A maintenance whose controller is killed after a record of its journal: the site is closed or whole, never half.

The ordinary run takes a sample of the points, `soak` all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.killing import Killer
from tests.windows.bed import Bed

STRIDE = [pytest.param(19), pytest.param(1, marks=pytest.mark.soak)]


def beds(base: Path, kills: Killer, stride: int, *, how: str = "start", fault: str = "") -> Iterator[tuple[Bed, str]]:
    """A bed per point, on which a run was killed there. `how`: aborted, of a site whose work failed before."""
    whole = Bed(base / "whole")
    before = prepared(whole, how, fault)
    whole.begin(how=how)
    records = whole.events[before:]
    assert len(records) > 20
    for after in range(1, len(records) + 1, stride):
        bed, where = Bed(base / f"{after}"), f"killed after {records[after - 1]}"
        prepared(bed, how, fault)
        assert kills.deploy(bed, after=after, how=how), where
        yield bed, where


def prepared(bed: Bed, how: str, fault: str) -> int:
    bed.scheduled()
    if fault or how != "start":
        (bed.doors / f"fault-{fault or 'second'}").touch()
    if how != "start":
        assert bed.begin().exit_code == 20 and bed.stands_closed()
    return len(bed.events)


def is_safe(bed: Bed) -> bool:
    """Nothing of the work, and no dump, ever happened while users came in."""
    closed = False
    for line in bed.log():
        closed = {"close": True, "open": False}.get(line, closed)
        if line in ("first", "second", "dump, page down") and not closed:
            return False
    return True


@pytest.mark.parametrize("stride", STRIDE)
def test_a_resumed_window_ends_whole(quick: Path, kills: Killer, stride: int) -> None:
    for bed, where in beds(quick, kills, stride):
        if not bed.open_run():
            continue  # it had not begun, or had ended
        result = bed.go_on()
        assert (result.verdict, result.exit_code) == ("done", 0), f"{where}: {result.reason}"
        assert bed.stands_open() and bed.state() == "over done" and is_safe(bed), where
        assert (bed.log().count("first"), bed.log().count("second")) == (1, 1), where


@pytest.mark.parametrize("stride", STRIDE)
def test_an_aborted_window_is_open_or_stays_closed_until_it_is_opened(quick: Path, kills: Killer, stride: int) -> None:
    for bed, where in beds(quick, kills, stride):
        if not bed.open_run():
            continue
        assert bed.go_on(abort=True).verdict == "aborted", where
        assert bed.stands_open() or bed.stands_closed(), where
        state = bed.state()
        assert (state == "closed") == bed.is_closed() and is_safe(bed), where
        if bed.is_closed():
            assert bed.begin(how="aborted").verdict == "done", where
            assert bed.stands_open() and bed.state() == "over aborted", where


@pytest.mark.parametrize("stride", STRIDE)
def test_a_failure_that_was_killed_ends_closed(quick: Path, kills: Killer, stride: int) -> None:
    for bed, where in beds(quick, kills, stride, fault="second"):
        if not bed.open_run():
            continue
        result = bed.go_on()
        assert result.exit_code == 20, f"{where}: {result.verdict} {result.reason}"
        assert bed.stands_closed() and bed.state() == "closed" and is_safe(bed), where
        assert "unfirst" in bed.log(), where


@pytest.mark.parametrize("stride", STRIDE)
def test_a_return_that_was_killed_still_happens(quick: Path, kills: Killer, stride: int) -> None:
    for bed, where in beds(quick, kills, stride, how="aborted"):
        if not bed.open_run():
            continue
        assert bed.go_on().verdict == "done", where
        assert bed.stands_open() and bed.state() == "over aborted" and is_safe(bed), where
