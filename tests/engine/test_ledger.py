from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine import history, ledger
from dojo_deploy.errors import ConflictError, FencedError, RefusedError, StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.release import HostSeen, Known, Observed, Platform, Release
from dojo_deploy.secrets import Redactor, Secret
from dojo_deploy.stores.directory import DirectoryStore

HOST = HostSeen(
    host="web1",
    current={"blue": "r1"},
    running={"blue/web": ("r1", "r1"), "blue/worker": ()},
    releases=("r0", "r1"),
    sha256={"r1": "ab"},
    missing=("logs",),
    platform=Platform("Linux", "x86_64", "glibc", "127"),
    free=1 << 40,
    open_run="x",
    drained=True,
)
SEEN = Observed({"web1": HOST, "web2": HostSeen("web2")}, (Known("r0", passed="2026"), Known("r1", bad="why")), "green")
RELEASE = Release("r2", "c0ffee", "main", "ab" * 32, 1234, Platform("Linux", "x86_64"))
HEADER = ledger.Header(
    run="20261123T144455-a1b2c3",
    scope="shop-test",
    strategy={"strategy": "rolling", "batches": [1, "50%"]},
    inventory=MappingProxyType({"app": {"name": "shop", "env_file": Secret("file", "secrets/x")}, "hosts": ("a", "b")}),
    observed=ledger.observed_as_dict(SEEN),
    release=ledger.release_as_dict(RELEASE),
    plan={"strategy": "rolling", "stages": []},
    plan_hash="00",
    tool="0.1.0",
    at="2026-11-23T14:44:55.000Z",
    by="ann",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    return DirectoryStore(tmp_path / "store", SystemClock())


def test_run_ids_sort_by_time_and_are_unlike_each_other() -> None:
    ids = [ledger.new_run_id(seconds) for seconds in (0, 1, 86_400, 1_795_445_095.9)]
    assert ids == sorted(ids)
    assert re.fullmatch(r"20261123T144455-[0-9a-f]{6}", ids[-1])
    assert len({ledger.new_run_id(0) for _ in range(50)}) == 50


def test_a_header_comes_back_with_its_observed_and_its_release(store: Store) -> None:
    ledger.write_header(store, HEADER)
    got = ledger.read_header(store, HEADER.run)
    assert ledger.observed_from_dict(got.observed) == SEEN
    assert ledger.release_from_dict(got.release) == RELEASE
    assert got.inventory == {"app": {"name": "shop", "env_file": {"file": "secrets/x"}}, "hosts": ["a", "b"]}
    assert replace(got, inventory=HEADER.inventory, observed=HEADER.observed, release=HEADER.release) == HEADER


def test_what_a_run_goes_on_by_comes_back_as_it_was_whatever_a_secret_is_called(store: Store) -> None:
    redact = Redactor(["shop", "web1", "rolling", "main", "secrets/x", "hunter22", "batch 1/drain"])
    ledger.write_header(store, replace(HEADER, options={"reason": "it is hunter22"}), redact)
    ledger.Notes(store, redact=redact).note("r", "intent", {"step": "batch 1/drain", "host": "web1"})

    got = ledger.read_header(store, HEADER.run)

    assert got.inventory["app"]["name"] == "shop" and got.strategy == HEADER.strategy
    assert ledger.observed_from_dict(got.observed) == SEEN and ledger.release_from_dict(got.release) == RELEASE
    assert got.options == {"reason": "it is ***"}
    assert ledger.notes(store, "r")[0] | {"generation": 0} == {
        "step": "batch 1/drain", "host": "web1", "kind": "intent", "generation": 0,
    }  # fmt: skip


def test_a_header_is_written_once(store: Store) -> None:
    ledger.write_header(store, HEADER)
    with pytest.raises(ConflictError):
        ledger.write_header(store, HEADER)


def test_an_unknown_run_is_refused(store: Store) -> None:
    with pytest.raises(RefusedError, match="no run nope"):
        ledger.read_header(store, "nope")


def test_notes_come_back_in_order_and_go_on_after_a_crash(store: Store) -> None:
    first = ledger.Notes(store, generation=1)
    first.note("r", "intent", {"step": "a/b/c"})
    first.note("r", "outcome", {"step": "a/b/c"})
    ledger.Notes(store, generation=2).note("r", "undo", {"reason": "because"})
    got = ledger.notes(store, "r")
    assert [note["kind"] for note in got] == ["intent", "outcome", "undo"]
    assert got[0] == {"kind": "intent", "step": "a/b/c", "generation": 1}
    assert got[2]["reason"] == "because"


def test_a_session_that_was_taken_over_can_note_nothing_where_the_newer_one_writes(store: Store) -> None:
    zombie = ledger.Notes(store, generation=1)
    zombie.note("r", "intent", {"step": "1"})
    ledger.Notes(store, generation=2).note("r", "intent", {"step": "2"})
    with pytest.raises(FencedError):
        zombie.note("r", "intent", {"step": "3"})
    assert [note["step"] for note in ledger.notes(store, "r")] == ["1", "2"]


def test_a_zombies_late_note_does_not_stop_the_newer_session(store: Store) -> None:
    zombie, newer = ledger.Notes(store, generation=1), ledger.Notes(store, generation=2)
    newer.note("r", "intent", {"step": "1"})
    store.put("runs/r/000002.json", json.dumps({"kind": "intent", "step": "late", "generation": 1}).encode())
    newer.note("r", "intent", {"step": "2"})
    assert [note["step"] for note in ledger.notes(store, "r")] == ["1", "late", "2"]
    with pytest.raises(FencedError):
        for _ in range(3):
            zombie._next["r"] = 0
            zombie.note("r", "intent", {"step": "again"})


def test_lanes_note_side_by_side_without_losing_any(store: Store) -> None:
    notes = ledger.Notes(store, generation=1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: notes.note("r", "intent", {"step": str(number)}), range(40)))
    assert sorted(int(note["step"]) for note in ledger.notes(store, "r")) == list(range(40))


def test_a_record_that_was_read_before_is_read_again_where_it_has_changed(store: Store) -> None:
    ledger.passed(store, Release("v1"), run="r1", at="2026-01-01T00:00:00Z", generation=1)
    before = ledger.read_record(store)
    ledger.mark_bad(store, Release("v1"), "because", generation=1)
    ledger.passed(store, Release("v2"), run="r2", at="2026-01-02T00:00:00Z", generation=2, read=before)
    assert [(known.id, known.bad) for known in ledger.read_record(store).releases] == [("v1", "because"), ("v2", "")]


def test_notes_are_masked(store: Store) -> None:
    ledger.Notes(store, redact=Redactor(["hunter22"])).note("r", "outcome", {"detail": ["it is hunter22"]})
    assert ledger.notes(store, "r")[0]["detail"] == ["it is ***"]


def test_the_artifact_of_a_run_comes_back_and_a_damaged_one_is_refused(store: Store, tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "a.tgz").write_bytes(b"artifact")
    ledger.write_artifact(store, "r", tmp_path / "a.tgz")
    sha256 = hashlib.sha256(b"artifact").hexdigest()
    assert ledger.read_artifact(store, "r", tmp_path / "b.tgz", sha256=sha256)
    assert (tmp_path / "b.tgz").read_bytes() == b"artifact"
    assert not ledger.read_artifact(store, "other", tmp_path / "c.tgz", sha256=sha256)
    with pytest.raises(RefusedError, match="damaged"):
        ledger.read_artifact(store, "r", tmp_path / "d.tgz", sha256="00")
    assert not (tmp_path / "d.tgz").exists()


def test_the_record_is_empty_before_the_first_run(store: Store) -> None:
    assert ledger.read_record(store) == ledger.Record()
    assert ledger.read_record(store).live == "blue"


def test_what_passed_is_the_last_good_and_what_is_bad_is_not(store: Store) -> None:
    for number, id_ in enumerate(("r1", "r2", "r3")):
        ledger.passed(store, Release(id_, commit=f"c{number}"), run="run", at=f"2026-11-2{number}")
    ledger.mark_bad(store, Release("r2"), "it leaked")
    record = ledger.read_record(store)
    good = Observed({}, record.releases).last_good(other_than="r3")
    assert good is not None
    assert (good.id, good.commit, good.passed) == ("r1", "c0", "2026-11-20")
    assert record.find("r2").bad == "it leaked"  # type: ignore[union-attr]


def test_a_release_that_passes_again_is_good_again_and_newest(store: Store) -> None:
    for id_ in ("r1", "r2"):
        ledger.passed(store, Release(id_), run="run", at="2026-11-20")
    ledger.mark_bad(store, Release("r1"), "why")
    ledger.passed(store, Release("r1"), run="run2", at="2026-11-21")
    record = ledger.read_record(store)
    assert [known.id for known in record.releases] == ["r2", "r1"]
    assert record.releases[-1] == Known("r1", passed="2026-11-21", run="run2", before="2026-11-20", was_bad="why")


def test_one_that_passed_on_some_hosts_only_is_known_and_not_good(store: Store) -> None:
    ledger.passed(store, RELEASE, run="run", at="2026-11-20", whole=False)
    known = ledger.read_record(store).find("r2")
    assert known is not None
    assert (known.passed, known.sha256, known.run) == ("", RELEASE.sha256, "run")


def test_a_failed_run_does_not_condemn_a_release_that_served_well(store: Store) -> None:
    ledger.passed(store, Release("r1"), run="run", at="2026-11-20")
    ledger.mark_bad(store, Release("r1"), "why", unless_passed=True)
    ledger.mark_bad(store, Release("r2"), "why", unless_passed=True)
    assert [known.bad for known in ledger.read_record(store).releases] == ["", "why"]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("bad", ["", "it leaked"])
@pytest.mark.parametrize("sessions", [1, 2])
def test_what_a_run_said_of_a_release_is_taken_back_to_what_was_said_before(
    store: Store, whole: bool, bad: str, sessions: int
) -> None:
    ledger.passed(store, Release("r1"), run="earlier", at="2026-11-20")
    if bad:
        ledger.mark_bad(store, Release("r1"), bad)
    for _ in range(sessions):
        ledger.passed(store, Release("r1"), run="run", at="2026-11-21", whole=whole)
    ledger.take_back(store, "another")
    assert standing(store, "r1") == (("2026-11-21", "") if whole else ("2026-11-20", bad))
    ledger.take_back(store, "run")
    ledger.take_back(store, "run")
    assert standing(store, "r1") == ("2026-11-20", bad)


@pytest.mark.parametrize("bad", ["", "it leaked"])
@pytest.mark.parametrize("sessions", [1, 2])
def test_a_release_that_a_rollback_left_is_as_bad_as_before_once_that_is_undone(
    store: Store, bad: str, sessions: int
) -> None:
    ledger.passed(store, Release("r1"), run="earlier", at="2026-11-20")
    if bad:
        ledger.mark_bad(store, Release("r1"), bad)
    for _ in range(sessions):
        ledger.mark_bad(store, Release("r1"), "rolled back to r0 by run run")
    ledger.take_back(store, "run")
    assert standing(store, "r1") == ("2026-11-20", bad)


def standing(store: Store, release: str) -> tuple[str, str]:
    known = ledger.read_record(store).find(release)
    assert known
    return known.passed, known.bad


def test_writers_of_the_record_lose_nothing_to_each_other(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: ledger.mark_bad(store, Release(f"r{number}"), "why"), range(24)))
        pool.submit(ledger.passed, store, Release("good"), run="run", at="2026-11-20").result()
    record = ledger.read_record(store)
    assert {known.id for known in record.releases} == {"good", *(f"r{number}" for number in range(24))}


def test_the_record_is_bounded_and_keeps_keys_it_does_not_know(store: Store) -> None:
    old = [{"id": f"r{number:03}", "newer": 1} for number in range(200)]
    store.put("releases.json", json.dumps({"live": "blue", "generation": 3, "releases": old, "retire": "x"}).encode())
    ledger.passed(store, Release("new"), run="run", at="2026-11-20")
    record = ledger.read_record(store)
    assert len(record.releases) == 200
    assert (record.releases[0].id, record.releases[-1].id) == ("r001", "new")
    assert json.loads(store.get("releases.json").data)["retire"] == "x"  # type: ignore[union-attr]


def test_an_older_generation_cannot_change_the_record(store: Store) -> None:
    ledger.passed(store, Release("r0"), run="run", at="2026-11-20", generation=5)
    with pytest.raises(FencedError):
        ledger.passed(store, Release("r1"), run="run", at="2026-11-20", generation=4)
    ledger.mark_bad(store, Release("r0"), "why", generation=6)
    record = ledger.read_record(store)
    assert ([known.id for known in record.releases], record.generation) == (["r0"], 6)


def test_a_damaged_record_is_an_error_and_not_an_empty_one(store: Store) -> None:
    store.put("releases.json", b'{"live": "blue"}')
    with pytest.raises(StoreError, match="not a record"):
        ledger.read_record(store)


def test_old_runs_are_removed_whole_but_never_an_open_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    ids = [f"2026112{day}T000000-aaaaaa" for day in range(5)]
    for run in ids:
        ledger.write_header(store, replace(HEADER, run=run))
        ledger.write_artifact(store, run, tmp_path / "a")
    assert ledger.prune(store, keep=2, artifacts=1, open_run=ids[0]) == (ids[2], ids[1])
    assert [run["run"] for run in history.runs(store)] == [ids[4], ids[3], ids[0]]
    assert [key for key in store.list("runs/") if key.endswith("artifact")] == [
        f"runs/{run}/artifact" for run in (ids[0], ids[4])
    ]
    assert [ledger.was_pruned(store, run) for run in ids] == [False, True, True, False, False]
