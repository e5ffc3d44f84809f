"""A command that ends before its work does: its exit status, its output, its signals, and who goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PROGRAM = """
import signal, sys, time
from pathlib import Path
from invoke import Exit
from dojo_deploy.tasks.apart import apart

folder = Path(sys.argv[1])

def work(let_go):
    signal.signal(signal.SIGTERM, lambda *_: (folder / "told").touch())
    print("before", flush=True)
{}

try:
    apart(work)
    print("afterwards", flush=True)
except Exit as exc:
    sys.exit(exc.code)
"""


def started(tmp_path: Path, text: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM.format(textwrap.indent(text, "    ")), str(tmp_path)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def appears(path: Path) -> bool:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


@pytest.mark.parametrize(
    ("end", "status"),
    [("sys.exit(20)", 20), ("pass", 0), ("import os; os.kill(os.getpid(), 9)", 128 + signal.SIGKILL)],
)
def test_the_command_ends_as_the_work_does(tmp_path: Path, end: str, status: int) -> None:
    process = started(tmp_path, end)
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (status, "before\n" if status else "before\nafterwards\n")


def test_let_go_it_ends_at_once_and_the_work_is_done_all_the_same(tmp_path: Path) -> None:
    process = started(
        tmp_path,
        """
let_go()
print("nobody reads this", flush=True)
while not (folder / "go").exists():
    time.sleep(0.02)
(folder / "done").touch()
""",
    )

    said, _ = process.communicate(timeout=20)

    assert (process.returncode, said) == (0, "before\nafterwards\n"), "its output has ended too"
    assert not (tmp_path / "done").exists()
    (tmp_path / "go").touch()
    assert appears(tmp_path / "done")


def test_a_signal_is_passed_on_and_the_end_waited_for(tmp_path: Path) -> None:
    process = started(
        tmp_path,
        """
while not (folder / "told").exists():
    time.sleep(0.02)
sys.exit(130)
""",
    )
    assert process.stdout and process.stdout.readline() == "before\n"

    process.terminate()
    process.communicate(timeout=20)

    assert process.returncode == 130 and (tmp_path / "told").exists()


@pytest.mark.parametrize("why", ["ci", "threads"])
def test_where_it_cannot_go_on_by_itself_it_is_waited_for(
    tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import os
print(let_go is None, os.getsid(0) == os.getpid())
"""
    if why == "ci":
        monkeypatch.setenv("CI", "true")
    program = PROGRAM.format(textwrap.indent(text, "    "))
    if why == "threads":
        program = f"import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n{program}"

    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=20)

    assert (done.returncode, done.stdout) == (0, "before\nTrue False\nafterwards\n"), done.stderr


def test_a_signal_at_the_very_end_reaches_nobody_else(tmp_path: Path) -> None:
    for _ in range(20):
        process = started(tmp_path, "sys.exit(20)")
        assert process.stdout and process.stdout.readline() == "before\n"
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=20)
        # Which of the two it met is a matter of luck; what it must not be is an error of ours.
        assert process.returncode in (20, -signal.SIGHUP, 128 + signal.SIGHUP), said


def test_the_work_is_no_child_of_a_terminal(tmp_path: Path) -> None:
    process = started(tmp_path, "import os; print(os.getsid(0) == os.getpid())")
    said, _ = process.communicate(timeout=20)
    assert said == "before\nTrue\nafterwards\n"
