"""`dojo report` and `dojo history`, typed where no host answers: what is known is in the journal and in the store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine import ledger
from dojo_deploy.engine.journal import Journal
from dojo_deploy.events import RunStarted
from dojo_deploy.stores.directory import DirectoryStore
from tests.engine.test_ledger import HEADER
from tests.reporters.recordings import failing

from .conftest import Typed

OLDER, RUN = "20261122T090000-aaaa11", "20261123T144812-bbbb22"


@pytest.fixture
def runs(shop: Path) -> Path:
    """Two runs: one that never began, and one that was rolled back, with its journal. The inventory's root."""
    root = shop.parents[1]
    folder = root / "store" / "shop-test"
    folder.mkdir(parents=True)
    store = DirectoryStore(folder, SystemClock())
    for run in (OLDER, RUN):
        ledger.write_header(store, replace(HEADER, run=run, at="2026-11-23T14:48:12.000Z"))
    end = {"verdict": "rolled back", "reason": "batch 2/web2/switch: so", "at": "2026-11-23T14:48:38.500Z"}
    ledger.Notes(store, generation=1).note(RUN, "finished", end)
    journal = Journal(root / ".dojo" / "runs" / "shop-test" / RUN / "journal.jsonl")
    for _, event in failing():
        journal.write(replace(event, generation=1) if isinstance(event, RunStarted) else event)
    journal.close()
    return root


def test_a_report_is_one_private_file_beside_the_journal(typed: Typed, runs: Path) -> None:
    done = typed("report")
    path = runs / ".dojo" / "runs" / "shop-test" / RUN / "report.html"
    assert (done.returncode, done.stdout) == (0, f"{path}: the report of run {RUN}\n")
    assert oct(path.stat().st_mode)[-3:] == "600" and "Rolled back" in path.read_text()
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.jsonl", "report.html"]


def test_a_run_can_be_named_by_its_end_and_written_anywhere(typed: Typed, runs: Path) -> None:
    out = runs / "new" / "r.html"
    done = typed("report", "--run", "bbbb22", "--out", str(out), "--json")
    assert json.loads(done.stdout) == {"run": RUN, "report": str(out)}
    assert out.read_text().startswith("<!doctype html>")
    assert typed("report", "--run", "aaaa11", "--out", "-").stdout.count("No session left a journal") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("report --run nope", 10, "no run 'nope' is known\n  → invoke history   lists the runs\n"),
        ("report --run 2026112", 2, f"--run: '2026112' may be 2 runs: {OLDER} {RUN}\n"),
        ("report --out /proc/r.html", 2, "--out: the report cannot be written to /proc/r.html: "),
    ],
)
@pytest.mark.usefixtures("runs")
def test_what_cannot_be_reported_says_why(words: str, code: int, said: str, typed: Typed) -> None:
    done = typed(*words.split())
    assert done.returncode == code and done.stderr.startswith(said), done.stderr


@pytest.mark.usefixtures("runs")
def test_history_tells_how_runs_stand_and_how_long_they_took(typed: Typed) -> None:
    lines = typed("history", COLUMNS="120").stdout.splitlines()
    assert lines[1].split()[:2] == ["bbbb22", "11-23"] and "rolled back  26.5 s" in lines[1]
    rows = json.loads(typed("history", "--json").stdout)
    assert [(row["run"], row["verdict"], row["seconds"]) for row in rows] == [
        (RUN, "rolled back", 26.5),
        (OLDER, "open", None),
    ]
