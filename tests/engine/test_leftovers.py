"""What is kept of old runs, in a real folder and a real store."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine import leftovers
from dojo_deploy.engine.journal import Journal, path_of
from dojo_deploy.events import Warned
from dojo_deploy.stores.directory import DirectoryStore

NOW = 2_000_000_000.0


def clear(store: DirectoryStore, work: Path, run: str) -> list[Warned]:
    """What it warned of."""
    warned: list[Warned] = []
    session = SimpleNamespace(
        store=store, inventory=SimpleNamespace(scope="shop-test"), clock=SimpleNamespace(now=lambda: NOW)
    )
    leftovers.clear(SimpleNamespace(id=run, session=session, trail=SimpleNamespace(emit=warned.append)), work)  # type: ignore[arg-type]
    return warned


def test_the_newest_of_everything_is_kept_on_this_machine_and_in_the_store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store, work = DirectoryStore(tmp_path / "store", SystemClock()), tmp_path / ".dojo"
    ids = [f"20261101T0000{number:02}-aaaaaa" for number in range(60)]
    for run in ids:
        Journal(path_of(work, "shop-test", run)).close()
        store.put(f"runs/{run}/header.json", b"{}")
        store.put(f"runs/{run}/artifact", b"x")
    Journal(path_of(work, "other-test", ids[0])).close()
    made = {f"artifacts/{ids[59]}-2.tgz": 0, "artifacts/busy.tgz": 10, "artifacts/old.tgz": 90000}
    made |= {f"probe/load-1-{number}.jsonl": number for number in range(25)}
    for name, age in made.items():
        file = work / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        os.utime(file, (NOW - age, NOW - age))

    assert clear(store, work, ids[59]) == []
    kept = {run for run in ids if (work / "runs" / "shop-test" / run).exists()}
    assert kept == set(ids[10:])
    assert (work / "runs" / "other-test" / ids[0]).exists()
    assert {path.name for path in (work / "artifacts").iterdir()} == {f"{ids[59]}-2.tgz", "busy.tgz"}
    assert {path.name for path in (work / "probe").iterdir()} == {f"load-1-{number}.jsonl" for number in range(20)}
    assert [key.split("/")[1] for key in store.list("runs/") if key.endswith("json")] == ids[40:]
    assert [key.split("/")[1] for key in store.list("runs/") if key.endswith("artifact")] == ids[55:]


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "gone", SystemClock())

    (warned,) = clear(store, tmp_path, "r")
    assert "could not be removed" in warned.text
