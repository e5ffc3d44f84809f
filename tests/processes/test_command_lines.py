"""The operator's own lines, in a real shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pm2_machine import until

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.processes.command import CommandLines
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret

KIND = CommandLines()
DAEMON = Process(
    start='cd "$CURRENT" && echo "$TOKEN $PORT $COLOUR ${WORKERS:-on}" >> "$SHARED_DIR/log"; '
    'sleep 300 >/dev/null 2>&1 & echo $! > "$SHARED_DIR/$COLOUR.pid"',
    stop='kill $(cat "$SHARED_DIR/$COLOUR.pid")',
    running='pid=$(cat "$SHARED_DIR/$COLOUR.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"',
    ports={"proof": 9002},
    stop_within=3,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    for release in ("r1", "r2"):
        (tmp_path / "releases" / release / ".dojo").mkdir(parents=True)
        (tmp_path / "releases" / release / ".dojo" / "env.sh").write_text(
            f"export TOKEN='of {release}'\nexport PORT=1\n"
        )
    (tmp_path / "slots" / "blue").mkdir(parents=True)
    (tmp_path / "shared").mkdir()
    yield tmp_path
    for file in (tmp_path / "shared").glob("*.pid"):
        subprocess.run(["kill", "-9", file.read_text().strip()], capture_output=True)


def placed(root: Path, release: str, **each: Process) -> Placement:
    link = root / "slots" / "blue" / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(root / "releases" / release)
    app = App("shop", environment="test", processes=Processes(kind=KIND, each=each))
    host = Host("web1", ("web",), "127.0.0.1", str(root), ports={"web": {"blue": 9000, "green": 9001, "proof": 9002}})
    return Placement(host, "blue", release, app)


def run(*commands: Command) -> str:
    said = ""
    for command in commands:
        done = subprocess.run(["/bin/sh", "-c", command.render()], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    return said


def test_no_lines_are_nothing_to_do(root: Path) -> None:
    for each in ({}, {"web": Process()}):
        place = placed(root, "r1", **each)
        for verb in (KIND.start, KIND.stop, KIND.prove, KIND.unprove, KIND.save):
            assert verb(place) == ()
        assert run(KIND.running(place), KIND.evidence(place)) == "" and KIND.files(place) == {}


def test_a_marker_file_is_a_restart(root: Path) -> None:
    place = placed(root, "r1", web=Process(start='touch "$CURRENT/../restart"', port=9000))
    run(*KIND.start(place))
    assert (root / "releases" / "restart").exists(), "the link is followed, as a shell does"
    assert not KIND.is_gapless(place.app.processes)


def test_start_replaces_what_runs_and_stop_waits_for_its_end(root: Path) -> None:
    place = placed(root, "r1", web=DAEMON)
    run(*KIND.start(place))
    first = run(KIND.running(place)).split()
    assert (first[0], first[2]) == ("blue/web", str(root / "releases" / "r1"))
    place = placed(root, "r2", web=DAEMON)
    run(*KIND.start(place))
    assert (root / "shared" / "log").read_text() == "of r1 9000 blue on\nof r2 9000 blue on\n"
    (second,) = run(KIND.running(place)).splitlines()
    assert second.endswith(str(root / "releases" / "r2")) and first[1] not in second
    until(lambda: not Path(f"/proc/{first[1]}").exists())
    for _ in range(2):
        run(*KIND.stop(place))
    assert run(KIND.running(place)) == ""


def test_a_reload_line_is_used_for_what_runs(root: Path) -> None:
    place = placed(root, "r1", web=replace(DAEMON, reload='echo "$RELEASE" > "$SHARED_DIR/reloaded"'))
    run(*KIND.start(place))
    assert not (root / "shared" / "reloaded").exists()
    run(*KIND.start(place))
    assert (root / "shared" / "reloaded").read_text() == "r1\n"
    with pytest.raises(ConfigError, match=r"app\.processes\.web\.running"):
        KIND.start(placed(root, "r1", web=Process(start="a", reload="b")))


def test_what_does_not_stop_is_said(root: Path) -> None:
    place = placed(root, "r1", web=replace(DAEMON, stop="true", stop_within=1))
    run(*KIND.start(place))
    done = subprocess.run(["/bin/sh", "-c", KIND.stop(place)[0].render()], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "blue/web still runs 1 s after its stop line" in done.stderr


def test_a_proof_runs_beside_the_site_only_where_its_port_is_named(root: Path) -> None:
    place = placed(root, "r1", web=DAEMON)
    run(*KIND.start(place), *KIND.prove(placed(root, "r1", web=DAEMON)))
    assert (root / "shared" / "log").read_text() == "of r1 9000 blue on\nof r1 9002 proof paused\n"
    assert [row.split()[0] for row in run(KIND.running(place)).splitlines()] == ["blue/web", "proof/web"]
    run(*KIND.unprove(place))
    assert [row.split()[0] for row in run(KIND.running(place)).splitlines()] == ["blue/web"]
    assert KIND.prove(placed(root, "r1", web=replace(DAEMON, ports={}, port=9000))) == ()
    assert os.path.lexists(root / "slots" / "blue" / "current")


def test_a_failed_gate_is_shown_the_end_of_the_log(root: Path) -> None:
    (root / "shared" / "web.log").write_text("".join(f"line {number}\n" for number in range(100)))
    process = replace(DAEMON, log='"$SHARED_DIR/web.log"', env={"TOKEN": Secret("env", "NOT_THERE")})
    shown = run(KIND.evidence(placed(root, "r1", web=process))).splitlines()

    assert shown[-31:] == [
        'blue/web: the last 30 lines of "$SHARED_DIR/web.log"',
        *(f"line {number}" for number in range(70, 100)),
    ]
    missing = replace(process, log="/nowhere/web.log")
    command = KIND.evidence(placed(root, "r1", web=missing)).render()
    assert "No such file" in subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True).stdout


def test_a_running_line_may_have_several_lines(root: Path) -> None:
    place = placed(root, "r1", web=replace(DAEMON, running="# its own PID file\n" + DAEMON.running))
    run(*KIND.start(place))

    assert [row.split()[0] for row in run(KIND.running(place)).splitlines()] == ["blue/web"]
