"""What the host job promises, on a real SSH server with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.command import Command
from dojo_deploy.engine.hostjob import (
    Began,
    Ended,
    Frame,
    Job,
    JobStep,
    Said,
    StepResult,
    carry,
    fence,
    record,
)
from dojo_deploy.errors import FencedError, LostError, OpenRunError, RefusedError, TransportError
from dojo_deploy.inventory import Host
from dojo_deploy.release import Layout
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.shells import SshShell
from tests.sshd import Server, any_server, sandbox, until

Opener = Callable[[Host], SshShell]


class Rig:
    """One host with a root of its own."""

    def __init__(self, shell: SshShell) -> None:
        self.shell = shell
        self.root = Path(shell.host.root)
        self.layout = Layout(shell.host.root)
        self.frames: list[Frame] = []

    def job(self, *steps: JobStep, run: str = "r1", generation: int = 1, close: bool = False, store: str = "S") -> Job:
        return Job(run, generation, store, "app-test", self.layout, steps, close)

    def carry(self, *steps: JobStep, artifact: Path | None = None, **about: object) -> dict[str, StepResult]:
        self.frames = []
        job = self.job(*steps, **about)  # type: ignore[arg-type]
        results = carry(self.shell, job, artifact=artifact, on_frame=self.frames.append, clock=SystemClock(), reach=15)
        assert [result.step for result in results] == [step.id for step in steps]
        return {result.step: result for result in results}

    def said(self) -> list[str]:
        return [frame.line for frame in self.frames if isinstance(frame, Said)]

    def outcomes(self, results: Mapping[str, StepResult]) -> list[str]:
        return [result.outcome for result in results.values()]

    def run_dir(self, run: str = "r1") -> Path:
        return Path(self.layout.run(run))

    def scripts(self) -> list[Path]:
        return [path for path in self.run_dir().glob("*") if path.suffix in (".sh", ".pipe", ".tgz")]


@pytest.fixture
def rig(sshd: Server, tmp_path: Path, shell_to: Opener) -> Rig:
    return Rig(shell_to(sshd.rooted(tmp_path / "root")))


@pytest.fixture
def own(tmp_path: Path, shell_to: Opener) -> Iterator[tuple[Server, Rig]]:
    """A server whose connections may be killed."""
    with any_server(tmp_path / "s") as server:
        yield server, Rig(shell_to(server.rooted(tmp_path / "root")))


def step(name: str, *lines: str, deadline: float = 20, **more: object) -> JobStep:
    return JobStep(name, tuple(Command.shell(line) for line in lines), deadline, **more)  # type: ignore[arg-type]


def counted(rig: Rig, name: str, then: str = "", **more: object) -> JobStep:
    """A step that counts how often it ran."""
    return step(name, f"echo x >>{rig.root}/{name}.count", *([then] if then else []), **more)


def times(rig: Rig, name: str) -> int:
    path = rig.root / f"{name}.count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_each_step_is_told_with_its_output_and_later_ones_are_replayed(rig: Rig) -> None:
    results = rig.carry(step("a", "echo one; printf two"), step("b", "cd / && x=1", 'echo "${x-unset}" >&2; pwd'))
    assert [frame for frame in rig.frames if not isinstance(frame, Said)] == [
        Began("a"), Ended("a", 0), Began("b"), Ended("b", 0),
    ]  # fmt: skip
    assert rig.said()[:3] == ["one", "two", "unset"] and rig.said()[3] != "/"
    assert results["a"] == StepResult("a", "done", 0, "one\ntwo")
    again = rig.carry(step("a", "false"), step("b", "false"), step("c", "true"))
    assert rig.outcomes(again) == ["replayed", "replayed", "done"]
    assert rig.frames == [Ended("a", 0, True), Ended("b", 0, True), Began("c"), Ended("c", 0)]


def test_steps_stop_at_the_first_failure_and_a_failure_is_replayed_with_its_reason(rig: Rig) -> None:
    steps = (step("a", "true"), step("b", "echo because; exit 7", "echo never"), counted(rig, "c"))
    assert rig.outcomes(rig.carry(*steps)) == ["done", "failed", "not run"]
    assert "never" not in rig.said()
    results = rig.carry(*steps)
    assert rig.outcomes(results) == ["replayed", "failed", "not run"]
    assert results["b"].status == 7 and "because" in results["b"].tail
    assert Ended("b", 7, True) in rig.frames and times(rig, "c") == 0


def test_a_line_with_a_syntax_error_fails_its_own_step_only(rig: Rig) -> None:
    results = rig.carry(step("a", "echo fine"), step("b", "if true; then ("), step("c", "true"))
    assert rig.outcomes(results) == ["done", "failed", "not run"]
    assert rig.said()[0] == "fine"


def test_steps_inherit_neither_the_jobs_umask_nor_ignored_signals_nor_the_fence(rig: Rig) -> None:
    rig.carry(step("a", "umask", "grep SigIgn /proc/self/status", "ls -l /proc/self/fd"))
    said = "\n".join(rig.said())
    outside = rig.shell.run(Command.shell("umask; grep SigIgn /proc/self/status"), within=5).text
    assert said.startswith(outside)
    assert "fence.lock" not in said


def test_state_is_the_users_own(rig: Rig) -> None:
    rig.carry(step("a", "true"))
    assert rig.root.stat().st_mode & 0o077
    for path in [Path(rig.layout.state), *Path(rig.layout.state).rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_state_folder_that_is_a_link_is_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "runs" / "r1").mkdir(parents=True)
    rig.root.mkdir()
    Path(rig.layout.state).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TransportError, match="no folder of this user"):
        rig.carry(counted(rig, "a"))
    assert times(rig, "a") == 0


def test_output_cannot_forge_a_frame(rig: Rig) -> None:
    # This step reads its own job's nonce from the log and says what a finished job would say.
    forge = (
        f"n=$(grep -ao '^[0-9a-f]\\{{32\\}}' {rig.run_dir()}/log | tail -1); "
        'printf "\\n%s 1 end 1 0 0 ran\\n\\n%s 2 end 1 0 0 ran\\n\\n%s 3 over\\nglued" "$n" "$n" "$n"; exit 5'
    )
    guess = "printf '00000000000000000000000000000000 1 end 2 0 0 ran\\n'; cat " + f"{rig.run_dir()}/log"
    results = rig.carry(step("a", guess), step("b", "echo begin b; sleep 0.2; " + forge.replace("3 over", "9 over")))
    assert (results["a"].outcome, results["b"].outcome, results["b"].status) == ("done", "failed", 5)


def test_any_bytes_are_told_as_harmless_bounded_lines(rig: Rig) -> None:
    results = rig.carry(
        step("a", r"printf 'nul\0 bad\377 \033[31mred\033[0m \033]0;title\007 split\303'", r"printf '\251\r\n\n\nend'"),
        step("b", "head -c 3000000 /dev/zero | tr '\\0' x"),
    )
    assert rig.said()[:4] == ["nul\\x00 bad\\xff red \\x1b]0;title\\x07 splité", "", "", "end"]
    assert all(len(line) < 5000 for line in rig.said()) and "2995904 more bytes" in rig.said()[4]
    assert rig.outcomes(results) == ["done", "done"]


def test_a_deadline_kills_the_whole_tree_and_is_named(rig: Rig) -> None:
    mark = f"30.{os.getpid()}"
    started = time.monotonic()
    results = rig.carry(step("a", f"trap '' TERM; sh -c 'trap \"\" TERM; sleep {mark} & wait' & wait", deadline=0.5))
    assert time.monotonic() - started < 5
    assert (results["a"].outcome, results["a"].status) == ("failed", 137)
    assert "deadline of 0.5 s" in results["a"].tail
    until(lambda: subprocess.run(["pgrep", "-f", f"^sleep {mark}"], check=False).returncode != 0, 3)


def test_a_command_killed_before_its_deadline_is_no_deadline(rig: Rig) -> None:
    result = rig.carry(step("a", "sh -c 'kill -9 $$'"))["a"]
    assert result.status == 137 and "deadline" not in result.tail


def test_a_background_child_holds_neither_the_fence_nor_the_channel(rig: Rig) -> None:
    started = time.monotonic()
    rig.carry(step("a", "sleep 8 & echo $!"))
    child = int(rig.said()[0])
    assert rig.outcomes(rig.carry(step("b", "true"))) == ["done"]
    assert time.monotonic() - started < 4
    os.kill(child, signal.SIGTERM)
    assert rig.scripts() == []


def test_the_artifact_is_a_file_of_its_own_step(rig: Rig, tmp_path: Path) -> None:
    artifact = tmp_path / "a.tgz"
    artifact.write_bytes(os.urandom(5_000_000))
    results = rig.carry(
        step("a", f"cp $ARTIFACT {rig.root}/got; ls -l $ARTIFACT | cut -c1-10", "wc -c", artifact=True),
        step("b", "wc -c"),
        artifact=artifact,
    )
    assert rig.outcomes(results) == ["done", "done"]
    assert rig.said() == ["-rw-------", "0", "0"]
    assert (rig.root / "got").read_bytes() == artifact.read_bytes()


@pytest.mark.parametrize("line", ["true", "head -c 10 >/dev/null", "exit 3"])
def test_an_unread_artifact_delays_nobody(line: str, rig: Rig, tmp_path: Path) -> None:
    artifact = tmp_path / "a.tgz"
    artifact.write_bytes(os.urandom(20_000_000))
    started = time.monotonic()
    results = rig.carry(step("a", line, artifact=True), artifact=artifact)
    assert results["a"].outcome == ("failed" if "3" in line else "done")
    assert time.monotonic() - started < 15


def ask(name: str, *lines: str) -> JobStep:
    return JobStep(name, tuple(Command.shell(line) for line in lines), 5.0, ask=True)


def test_a_question_is_answered_anew_each_time_and_never_a_failure(rig: Rig) -> None:
    for _ in range(2):
        results = rig.carry(counted(rig, "a", "true"), ask("q", "echo sick; exit 3"), ask("r", "echo well"), close=True)
        assert [(one.outcome, one.status) for one in results.values()][1:] == [("failed", 3), ("done", 0)]
        assert rig.said()[-2:] == ["sick", "well"]
    assert times(rig, "a") == 1
    assert "q" not in (rig.run_dir() / "record").read_text()


def test_what_failed_is_not_followed_by_its_questions(rig: Rig) -> None:
    assert rig.outcomes(rig.carry(step("a", "exit 1"), ask("q", "echo asked"))) == ["failed", "not run"]
    assert rig.said() == []


def test_a_question_holds_neither_the_fence_nor_the_jobs_input(rig: Rig) -> None:
    rig.carry(ask("q", "readlink /proc/self/fd/9 /proc/self/fd/8; readlink /proc/self/fd/0"))
    assert rig.said() == ["/dev/null"]


def test_a_job_with_an_artifact_step_needs_an_artifact(rig: Rig) -> None:
    with pytest.raises(ValueError, match="artifact"):
        rig.carry(step("a", "cat", artifact=True))


def test_undo_steps_run_for_what_began_and_only_for_that(rig: Rig) -> None:
    rig.carry(step("a", "false"), step("b", "true"))
    undo_a, undo_b = counted(rig, "ua", undoes="a"), counted(rig, "ub", undoes="b")
    assert rig.outcomes(rig.carry(undo_b, undo_a)) == ["skipped", "done"]
    assert rig.outcomes(rig.carry(undo_b, undo_a)) == ["skipped", "replayed"]
    assert (times(rig, "ua"), times(rig, "ub")) == (1, 0)


def test_the_fence_admits_by_generation_store_and_open_run(rig: Rig) -> None:
    rig.carry(step("a", "true"), generation=5)
    found = fence(rig.shell, rig.layout)
    assert found and (found.store_id, found.generation, found.run, found.is_open) == ("S", 5, "r1", True)
    with pytest.raises(FencedError, match="generation 5"):
        rig.carry(counted(rig, "x"), generation=4)
    with pytest.raises(FencedError):
        rig.carry(counted(rig, "x"), generation=4, run="r0")
    with pytest.raises(OpenRunError, match="r1"):
        rig.carry(counted(rig, "x"), generation=6, run="r2")
    with pytest.raises(RefusedError, match="fence"):
        rig.carry(counted(rig, "x"), generation=9, store="T")
    assert rig.outcomes(rig.carry(step("b", "true"), generation=7, close=True)) == ["done"]
    assert times(rig, "x") == 0
    rig.carry(step("c", "true"), generation=8, run="r2")
    found = fence(rig.shell, rig.layout)
    assert found and (found.generation, found.run) == (8, "r2")


def test_a_failed_job_leaves_the_fence_open(rig: Rig) -> None:
    rig.carry(step("a", "false"), close=True)
    found = fence(rig.shell, rig.layout)
    assert found and found.is_open
    rig.carry(close=True)
    found = fence(rig.shell, rig.layout)
    assert found and not found.is_open


@pytest.mark.parametrize(
    "text", ["", "S\n", "S x r1 open app-test\n", "S 1 r1 ajar app-test\n", "S 1 r1 open app-test"]
)
def test_a_damaged_fence_admits_nobody(text: str, rig: Rig) -> None:
    rig.carry(step("a", "true"))
    (Path(rig.layout.state) / "fence").write_text(text)
    with pytest.raises(RefusedError, match="cannot be read"):
        rig.carry(counted(rig, "x"))
    assert times(rig, "x") == 0


def test_an_unfinished_record_line_counts_for_nothing(rig: Rig) -> None:
    rig.carry(step("a", "true"), step("b", "true"))
    path = rig.run_dir() / "record"
    path.write_text("begin a\nend a 0\nbegin b\nend b 13")
    assert record(rig.shell, rig.layout, "r1") == {"a": 0, "b": None}
    results = rig.carry(step("a", "false"), counted(rig, "b"), counted(rig, "c"))
    assert rig.outcomes(results) == ["replayed", "done", "done"]
    assert record(rig.shell, rig.layout, "r1") == {"a": 0, "b": 0, "c": 0}


def test_a_killed_connection_loses_neither_the_step_nor_its_answer(own: tuple[Server, Rig]) -> None:
    server, rig = own
    rig.shell.run(Command.of("true"), within=5)
    if not server.sessions():
        pytest.skip("this server has no process per connection")
    threading.Timer(0.7, server.signal_sessions, (signal.SIGKILL,)).start()
    results = rig.carry(counted(rig, "a"), counted(rig, "b", "sleep 2; echo survived; exit 4"), counted(rig, "c"))
    assert rig.outcomes(results) == ["done", "failed", "not run"]
    assert results["b"].status == 4 and "survived" in results["b"].tail
    assert (times(rig, "a"), times(rig, "b"), times(rig, "c")) == (1, 1, 0)
    assert rig.shell.connects == 2
    assert [frame for frame in rig.frames if not isinstance(frame, Said)] == [
        Began("a"), Ended("a", 0), Began("b"), Ended("b", 4),
    ]  # fmt: skip
    assert "survived" in (rig.run_dir() / "log").read_text()


def test_an_upload_that_was_cut_off_is_sent_again(own: tuple[Server, Rig], tmp_path: Path) -> None:
    server, rig = own
    rig.shell.run(Command.of("true"), within=5)
    if not server.sessions():
        pytest.skip("this server has no process per connection")
    artifact = tmp_path / "a.tgz"
    artifact.write_bytes(os.urandom(30_000_000))
    cut = threading.Thread(target=_kill_when_partial, args=(server, rig.root / "got"))
    cut.start()
    check = f'test "$(stat -c %s {rig.root}/got)" = 30000000'
    results = rig.carry(step("a", f"cat $ARTIFACT >{rig.root}/got", check, artifact=True), artifact=artifact)
    cut.join()
    assert rig.outcomes(results) == ["done"]
    assert rig.shell.connects == 2
    assert (rig.root / "got").read_bytes() == artifact.read_bytes()


def test_a_host_that_stays_away_is_unknown(tmp_path: Path, shell_to: Opener) -> None:
    with any_server(tmp_path / "s") as server:
        rig = Rig(shell_to(server.rooted(tmp_path / "root")))
        rig.carry(step("a", "true"))
        if not server.sessions():
            pytest.skip("this server has no process per connection")
        stopper = threading.Timer(0.5, _end, (server,))
        stopper.start()
        with pytest.raises(LostError, match="could not be asked"):
            carry(rig.shell, rig.job(step("b", "sleep 3")), on_frame=lambda _: None, clock=SystemClock(), reach=2)


CONTROLLER = """
import sys, json
from dojo_deploy.clock import SystemClock
from dojo_deploy.command import Command
from dojo_deploy.engine.hostjob import Job, JobStep, carry
from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.release import Layout
from dojo_deploy.transports.ssh import Gateways, connect
about = json.loads(sys.argv[1])
host = Host("h1", (), "127.0.0.1", about["root"], Ssh(**about["ssh"]))
clock = SystemClock()
steps = tuple(JobStep(name, (Command.shell(line),), 20, idempotent) for name, line, idempotent in about["steps"])
job = Job("r1", 1, "S", "app-test", Layout(about["root"]), steps)
carry(connect(host, Gateways(clock), clock), job, on_frame=lambda frame: print(frame, flush=True), clock=clock)
"""


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_killed_controller_finds_its_job_done_once(idempotent: bool, rig: Rig) -> None:
    line = f"echo x >>{rig.root}/b.count; sleep 1.5; echo survived"
    about = {
        "root": str(rig.root),
        "ssh": asdict(rig.shell.host.ssh),
        "steps": [("a", "true", True), ("b", line, idempotent)],
    }
    words = [sys.executable, "-c", CONTROLLER, json.dumps(about)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        until(lambda: times(rig, "b") == 1, 10)
        process.kill()
    results = rig.carry(step("a", "true"), step("b", line, idempotent=idempotent), counted(rig, "c"))
    assert rig.outcomes(results) == ["replayed", "replayed", "done"]
    assert (times(rig, "b"), times(rig, "c")) == (1, 1)


@pytest.mark.parametrize("idempotent", [True, False, None])
def test_a_job_that_was_killed_on_the_host_is_interrupted(idempotent: bool | None, rig: Rig) -> None:
    """As a reboot would: the step began, and nothing of it runs any more. None: a step that finds out by itself."""
    line = f'if [ "$(wc -l <{rig.root}/a.count)" = 1 ]; then kill -9 $(cat {rig.root}/pids); sleep 5; fi'
    mark = f"ps -o ppid= -o pid= -p $PPID >{rig.root}/pids"
    said = f'echo "[$DOJO_BEGUN]" >>{rig.root}/begun'
    how = {"idempotent": bool(idempotent), "guarded": idempotent is None}
    results = rig.carry(counted(rig, "a", f"{said}; {mark}; {line}", **how), counted(rig, "b"), run="r1")
    if idempotent is not False:
        assert (rig.root / "begun").read_text() == "[]\n[1]\n"
        assert rig.outcomes(results) == ["done", "done"] and times(rig, "a") == 2
    else:
        assert rig.outcomes(results) == ["interrupted", "not run"]
        assert (times(rig, "a"), times(rig, "b")) == (1, 0)
        assert record(rig.shell, rig.layout, "r1") == {"a": None}
    assert rig.scripts() == []


def test_a_second_job_waits_for_the_first(rig: Rig, shell_to: Opener) -> None:
    other = Rig(shell_to(rig.shell.host))
    first = threading.Thread(target=rig.carry, args=(step("a", f"sleep 1; date +%s%N >{rig.root}/a"),))
    first.start()
    until(lambda: (rig.run_dir() / "record").exists())
    assert record(other.shell, other.layout, "r1") == {"a": 0}
    other.carry(step("b", f"date +%s%N >{rig.root}/b"))
    first.join()
    assert int((rig.root / "a").read_text()) < int((rig.root / "b").read_text())


def test_secrets_are_in_no_command_line_no_log_and_no_file_afterwards(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-77c1e0")
    command = Command.shell('sleep 0.7; test "${#TOKEN}" = 13', env={"TOKEN": Secret("env", "CANARY")})
    found: list[str] = []
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(b"canary-77c1e0", rig.run_dir(), found, stop))
    sampler.start()
    try:
        assert rig.outcomes(rig.carry(JobStep("a", (command,), 10))) == ["done"]
        assert rig.outcomes(rig.carry(JobStep("a", (command,), 10))) == ["replayed"]
    finally:
        stop.set()
        sampler.join()
    assert found == []
    assert rig.scripts() == []
    grep = subprocess.run(["grep", "-r", "canary-77c1e0", str(rig.root)], capture_output=True, check=False)
    assert grep.returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_step_is_not_begun_on_a_full_disk(sshd: Server, tmp_path: Path, shell_to: Opener) -> None:
    root = tmp_path / "small"
    root.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", root], check=False).returncode:
        pytest.skip("may not mount")
    try:
        rig = Rig(shell_to(sshd.rooted(root)))
        assert rig.outcomes(rig.carry(step("a", "true"))) == ["done"]
        # Up to the end of the record's own page, then all the pages that are left.
        pad = f'n=$(stat -c %s {rig.run_dir()}/record); printf "%*s" $((4096 - n)) "" >>{rig.run_dir()}/record'
        fill = f"dd if=/dev/zero of={root}/fill bs=4096 2>/dev/null; true"
        with pytest.raises(TransportError, match="cannot be written") as refused:
            rig.carry(step("b", pad, fill), counted(rig, "c"))
        assert "100%" in str(refused.value)
        assert Began("c") not in rig.frames and times(rig, "c") == 0
        (root / "fill").unlink()
        assert rig.outcomes(rig.carry(step("a", "false"), step("c", "true"))) == ["replayed", "done"]
    finally:
        subprocess.run(["umount", "-l", root], check=True)


@pytest.mark.parametrize("kind", ["bash", "dash"])
def test_bash_and_dash_run_the_same_job_even_when_the_server_hangs_up_on_it(
    kind: str, tmp_path: Path, shell_to: Opener
) -> None:
    path = shutil.which(kind)
    if path is None:
        pytest.skip(f"no {kind} here")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to(path)
    artifact = tmp_path / "a.tgz"
    artifact.write_bytes(os.urandom(300_000))
    with sandbox(tmp_path / "s", shell=path, kill_on_close=True, programs=str(programs)) as server:
        rig = Rig(shell_to(server.rooted(tmp_path / "root")))
        upload = step("a", f"cat $ARTIFACT >{rig.root}/got", "readlink /proc/$$/exe", artifact=True)
        slow = counted(rig, "b", "sleep 1.5; echo survived", idempotent=False)
        threading.Timer(0.7, lambda: rig.shell._link and rig.shell._link.close()).start()
        results = rig.carry(upload, slow, step("c", "exit 9"), artifact=artifact, close=True)
        assert rig.outcomes(results) == ["done", "done", "failed"] and times(rig, "b") == 1
        assert kind in rig.said()[0]
        assert (rig.root / "got").read_bytes() == artifact.read_bytes()
        assert rig.shell.connects == 2
        with pytest.raises(FencedError):
            rig.carry(step("d", "true"), generation=0)


def test_names_that_would_break_the_hosts_files_are_refused(rig: Rig) -> None:
    for bad in ("a b", "", "a\n"):
        with pytest.raises(ValueError, match="fence"):
            rig.job(run=bad)
    for bad in ("", " a", "a\nb", "a "):
        with pytest.raises(ValueError, match="step"):
            rig.job(step(bad, "true"))
    rig.carry(step("stage 1/web1/it's; $(id) *", "true"))
    assert record(rig.shell, rig.layout, "r1") == {"stage 1/web1/it's; $(id) *": 0}


def _kill_when_partial(server: Server, path: Path) -> None:
    until(lambda: path.exists() and path.stat().st_size > 1_000_000, 10)
    server.signal_sessions(signal.SIGKILL)


def _end(server: Server) -> None:
    # Its sessions are known by their parent, for as long as that lives.
    os.kill(server.pid, signal.SIGSTOP)
    server.signal_sessions(signal.SIGKILL)
    os.kill(server.pid, signal.SIGKILL)


def _sample(needle: bytes, run_dir: Path, found: list[str], stop: threading.Event) -> None:
    while not stop.wait(0.01):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if needle in path.read_bytes():
                    found.append(str(path))
            except OSError:
                continue
        for path in run_dir.glob("*"):
            try:
                if path.stat().st_mode & 0o077:
                    found.append(str(path))
            except OSError:
                continue


def test_who_reads_the_record_to_go_on_keeps_out_what_is_still_on_its_way(rig: Rig) -> None:
    rig.carry(step("a", "true"), generation=3)

    assert record(rig.shell, rig.layout, "r1", lease=("S", 4), scope="app-test") == {"a": 0}

    held = fence(rig.shell, rig.layout)
    assert held and (held.generation, held.run, held.is_open) == (4, "r1", True)
    with pytest.raises(FencedError):
        rig.carry(step("b", "true"), generation=3)
    assert record(rig.shell, rig.layout, "r1") == {"a": 0}
    assert record(rig.shell, rig.layout, "r1", lease=("other", 9), scope="app-test") == {"a": 0}
    held = fence(rig.shell, rig.layout)
    assert held and (held.store_id, held.generation) == ("S", 4), "another store's fence is its own"
