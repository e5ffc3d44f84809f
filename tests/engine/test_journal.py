from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dojo_deploy.engine.journal import Journal, path_of, read, runs
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import Event, GateFailed, OutputWritten, RunStarted, StepFinished, StepStarted
from dojo_deploy.secrets import Redactor

EVENTS: list[Event] = [
    RunStarted(seq=1, at="2026-11-23T14:44:55.000Z", run="r", scope="shop-test", strategy="rolling", release="a1"),
    StepStarted(seq=2, step="s/web1/switch", host="web1", name="switch"),
    OutputWritten(seq=3, step="s/web1/switch", host="web1", line='ünï "quoted" \\ \x00 \u2028 line'),
    StepFinished(seq=4, step="s/web1/switch", host="web1", name="switch", outcome="done", seconds=0.125),
    GateFailed(seq=5, step="s/web1/switch", host="web1", seconds=1.5, cause="many\nlines\n"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_of(tmp_path / ".dojo", "shop-test", "20261123T144455-a1b2c3")


def _written(path: Path, events: list[Event] = EVENTS) -> Path:
    journal = Journal(path)
    for event in events:
        journal.write(event)
    journal.close()
    return path


def test_events_come_back_as_they_were(path: Path) -> None:
    assert read(_written(path)) == EVENTS


def test_file_and_folders_are_private_from_the_start(path: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        _written(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".dojo").stat().st_mode & 0o777 == path.parent.stat().st_mode & 0o777 == 0o700


def test_a_torn_last_line_is_ignored_wherever_it_is_torn(path: Path) -> None:
    data = _written(path).read_bytes()
    last = data.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(data)):
        path.write_bytes(data[:cut])
        assert read(path) == EVENTS[:-1], cut


def test_a_flipped_byte_is_damage_in_the_middle_and_a_torn_line_at_the_end(path: Path) -> None:
    data = _written(path).read_bytes()
    last = data.rindex(b"\n", 0, -1) + 1
    for at in (*range(0, last - 1, 7), data.index(b"\n") - 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RefusedError, match="damaged in line"):
            read(path)
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert read(path) == EVENTS[:-1]


@pytest.mark.parametrize("tail", [b'{"event": "Ste', b"\0" * 700, b'{"event": "Warned", "crc": "00000000"}\n'])
def test_a_journal_goes_on_after_a_torn_line(path: Path, tail: bytes) -> None:
    with _written(path, EVENTS[:2]).open("ab") as file:
        file.write(tail)
    _written(path, EVENTS[2:])
    assert read(path) == EVENTS


def test_a_killed_process_leaves_everything_it_wrote(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from dojo_deploy.engine.journal import Journal;"
        "from dojo_deploy.events import Warned; journal = Journal(Path(sys.argv[1]));"
        "[journal.write(Warned(seq=n, text='x' * n)) for n in range(300)]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert [event.seq for event in read(path)] == list(range(300))


def test_secrets_are_masked_in_every_string(path: Path) -> None:
    journal = Journal(path, Redactor(["hunter22'"]))
    journal.write(OutputWritten(step="s", host="h", line="the password is hunter22' they say"))
    journal.write(GateFailed(step="s", host="h", seconds=1, cause='{"p": "hunter22\'"}'))
    journal.close()
    assert b"hunter22" not in path.read_bytes()
    assert read(path)[0].line == "the password is *** they say"  # type: ignore[attr-defined]


def test_lanes_can_write_side_by_side(path: Path) -> None:
    journal = Journal(path)

    def write(lane: int) -> None:
        for number in range(50):
            journal.write(OutputWritten(step=str(lane), host="h", line=f"{number} " + "x" * 200))
            if number % 10 == 0:
                journal.sync()

    lanes = [threading.Thread(target=write, args=(lane,)) for lane in range(8)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    journal.close()
    got = read(path)
    assert len(got) == 400
    for lane in range(8):
        lines = [event.line for event in got if event.step == str(lane)]  # type: ignore[attr-defined]
        assert [int(line.split()[0]) for line in lines] == list(range(50))


def test_a_deployment_that_cannot_open_its_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(RefusedError, match="cannot be written"):
        Journal(tmp_path / "runs" / "journal.jsonl")
    with pytest.raises(RefusedError):
        Journal(Path("/proc/nowhere/journal.jsonl"))


def test_a_full_disk_is_raised_before_the_first_change(path: Path) -> None:
    journal = Journal(path)
    journal.write(EVENTS[0])
    with _full_at(path.stat().st_size + 20), pytest.raises(RefusedError, match=r"too large|No space"):
        journal.write(EVENTS[1])
    assert read(path) == EVENTS[:1]


def test_a_full_disk_after_the_first_change_stops_nothing_and_leaves_whole_lines(path: Path) -> None:
    journal = Journal(path)
    for event in EVENTS[:2]:
        journal.write(event)
    journal.sync()
    with _full_at(path.stat().st_size + 20):
        journal.write(EVENTS[2])
        journal.sync()
    assert "cannot be written" in journal.trouble
    journal.write(EVENTS[3])
    journal.close()
    assert read(path) == [*EVENTS[:2], EVENTS[3]]


def test_an_intent_counts_as_a_change_only_once_it_is_durable(path: Path) -> None:
    journal = Journal(path)
    journal.write(EVENTS[1])
    with _full_at(path.stat().st_size), pytest.raises(RefusedError):
        journal.write(EVENTS[2])


def test_runs_of_a_scope_are_listed_newest_first(tmp_path: Path) -> None:
    for scope, run in (("shop-test", "20261123T1-a"), ("shop-test", "20261124T1-b"), ("blog-test", "20261125T1-c")):
        Journal(path_of(tmp_path, scope, run)).close()
    (tmp_path / "runs" / "shop-test" / "20261126T1-no-journal").mkdir()
    assert runs(tmp_path, "shop-test") == ("20261124T1-b", "20261123T1-a")
    assert runs(tmp_path, "none") == ()


def test_a_missing_journal_is_refused(path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        read(path)


@contextmanager
def _full_at(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size`, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
