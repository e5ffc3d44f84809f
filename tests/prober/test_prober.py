from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.prober import Prober, measure
from dojo_deploy.reporters.sentences import load_line

from .conftest import Server


def until(holds: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_a_healthy_server_shows_no_failure_and_every_request_is_counted(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release")
    seen = prober.stop(at_least=400)
    assert seen.failures == 0 and not seen.errors
    assert 400 <= seen.requests == server.answered
    assert seen.answers["v1"][2] == seen.requests
    assert 0 < seen.p50_ms <= seen.p95_ms < 1000
    assert oct(prober.results.stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("fault", "count", "kinds"),
    [
        ("500", 7, {"status 500 from v1"}),
        ("reset", 5, {"reset before an answer"}),
        ("close", 5, {"closed before an answer", "reset before an answer"}),
        ("reset mid-body", 4, {"reset mid-answer"}),
        ("close mid-body", 4, {"closed mid-answer"}),
        ("noise", 3, {"bad answer: not HTTP"}),
    ],
)
def test_every_injected_failure_is_found_and_no_other(
    server: Server, tmp_path: Path, fault: str, count: int, kinds: set[str]
) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release", rate=300)
    for _ in range(count):
        server.faults.append(fault)
        time.sleep(0.02)
    seen = prober.stop(at_least=200)
    assert seen.failures == count
    assert set(seen.errors) <= kinds and sum(seen.errors.values()) == count
    assert seen.answers["v1"][2] == seen.requests - count


def test_a_request_that_hangs_is_one_failure_and_delays_no_other(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release", rate=100)
    server.faults.extend(["hang", "hang"])
    seen = prober.stop(at_least=650)  # 6.5 s: the hanging two have run out
    assert seen.errors == {"timeout": 2} and seen.failures == 2
    assert seen.p95_ms < 200 and seen.skipped < 20


def test_a_connection_that_ends_cleanly_between_requests_is_no_failure(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release", rate=40)
    for fault in ("quiet end", "last") * 5:
        server.faults.append(fault)
        time.sleep(0.05)
    assert prober.stop(at_least=40).failures == 0


def test_keep_alive_and_fresh_connections_are_both_used(server: Server, tmp_path: Path) -> None:
    seen = Prober.start(server.url, work=tmp_path, rate=200, connections=4).stop(at_least=200)
    fresh = seen.requests // 10
    assert fresh <= server.connections <= fresh + 4 + 10


@pytest.mark.parametrize("style", ["chunked", "until close"])
def test_every_way_of_ending_a_body_is_understood(server: Server, tmp_path: Path, style: str) -> None:
    server.style = style
    seen = Prober.start(server.url, work=tmp_path, field="release", rate=200).stop(at_least=100)
    assert seen.failures == 0 and set(seen.answers) == {"v1"}


def test_the_upstream_header_names_who_answered_where_no_field_does(server: Server, tmp_path: Path) -> None:
    seen = Prober.start(server.url, work=tmp_path, field="no.such", header="X-Upstream").stop(at_least=50)
    assert set(seen.answers) == {"10.0.0.1:3000"}


def test_releases_show_when_they_answered(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release")
    time.sleep(0.6)
    server.release = "v2"
    seen = prober.stop(at_least=600)
    v1, v2 = seen.answers["v1"], seen.answers["v2"]
    assert v1[0] < 0.3 and v1[1] <= v2[0] + 0.1 and v2[1] > v1[1]
    assert v1[2] + v2[2] == seen.requests
    assert sum(part["requests"] for part in seen.course) == seen.requests
    assert all(part["end"] == after["begin"] for part, after in zip(seen.course, seen.course[1:], strict=False))
    assert list(seen.course[0]["answers"]) == ["v1"] and list(seen.course[-1]["answers"]) == ["v2"]
    assert abs(datetime.fromisoformat(seen.began.replace("Z", "+00:00")).timestamp() - time.time()) < 30


def test_a_course_has_no_more_slices_than_fit_a_picture_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    lines = [
        {"at": number / 4, "counted": number > 3, "requests": 100, "failures": number == 700, "skipped": 0,
         "latencies": {str(number): 100}, "answers": {"v1": [0, 1, 100]}, "errors": {}}
        for number in range(1, 1001)
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    seen = measure(path)
    assert 100 < len(seen.course) <= 160
    assert seen.course[0]["begin"] == 0.75 and seen.course[-1]["end"] == 250.0
    assert sum(part["answers"]["v1"] for part in seen.course) == seen.requests == 99_700
    (failed,) = [part for part in seen.course if part["failures"]]
    assert failed["begin"] < 700 / 4 <= failed["end"] and 69 < failed["p50"] <= failed["p99"] < 71


def test_the_rate_is_held_while_some_answers_are_slow(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, rate=250)
    server.faults.extend(["slow"] * 5)
    time.sleep(2.0)
    seen = prober.stop()
    assert seen.requests + seen.skipped == pytest.approx(250 * seen.seconds, rel=0.03)
    assert seen.skipped < 20 and seen.failures == 0


def test_a_restart_of_the_server_is_counted(tmp_path: Path) -> None:
    server = Server()
    prober = Prober.start(server.url, work=tmp_path, field="release", rate=200)
    time.sleep(0.3)
    server.close()
    time.sleep(0.5)
    server = Server(server.port)
    server.release = "v2"
    seen = prober.stop(at_least=300)
    server.close()
    gap = seen.answers["v2"][0] - seen.answers["v1"][1]
    assert gap >= 0.45 and seen.cut_short == ""
    # On a busy machine some are not made in time, and it is away for longer.
    refused = seen.errors["connect: Connection refused"]
    assert refused + seen.skipped >= 80 and refused <= 200 * gap + 20
    assert sum(count for _, _, count in seen.answers.values()) + seen.failures == seen.requests


def test_on_a_first_deployment_nothing_counts_before_the_site_answers_steadily(tmp_path: Path) -> None:
    server = Server()
    port, url = server.port, server.url
    server.close()
    prober = Prober.start(url, work=tmp_path, field="release", from_first_success=True)
    time.sleep(0.5)
    server = Server(port)
    server.faults.extend(["", "", "500", "", "500"])  # old and new workers side by side
    time.sleep(1.0)
    server.faults.append("500")
    seen = prober.stop(at_least=400)
    server.close()
    assert seen.errors == {"status 500 from v1": 1}
    assert seen.counted_from.startswith("the first steady answer, after 0.")


def test_a_site_that_never_gets_steady_does_not_pass_for_a_good_one(server: Server, tmp_path: Path) -> None:
    server.faults.extend(["", "", "", "500"] * 100)
    prober = Prober.start(server.url, work=tmp_path, rate=200, from_first_success=True)
    time.sleep(1.5)
    seen = prober.stop()
    assert seen.failures > 50 and "never steady" in seen.counted_from


def test_a_site_that_never_answers_counts_nothing_and_says_so(tmp_path: Path) -> None:
    server = Server()
    server.close()
    prober = Prober.start(server.url, work=tmp_path, from_first_success=True)
    seen = prober.stop()
    assert (seen.requests, seen.failures, seen.counted_from) == (0, 0, "nothing ever answered")


def test_marks_stand_among_the_figures(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path)
    prober.mark("batch 1\nstop 0 0")
    time.sleep(0.3)
    prober.stop(at_least=150)
    assert '"mark":"batch 1 stop 0 0"' in prober.results.read_text()


def test_what_was_seen_survives_a_kill_of_the_prober(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release")
    until(lambda: measure(prober.results).requests >= 200)
    with prober.results.open("a") as file:
        file.write('{"at": 1.0, "coun')
    os.kill(prober._process.pid, signal.SIGKILL)
    seen = prober.stop(within=1.0)
    assert (seen.requests >= 200, seen.cut_short) == (True, "its prober was killed")
    assert "only until" in load_line(seen) and "its prober was killed" in load_line(seen)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_prober_dies_with_the_process_that_started_it(server: Server, tmp_path: Path, sign: int) -> None:
    program = (
        "import sys, time, pathlib\nfrom dojo_deploy.prober import Prober\n"
        "p = Prober.start(sys.argv[1], work=pathlib.Path(sys.argv[2]))\n"
        "print(p._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, server.url, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(sign)
    until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_it_takes_a_seventh_of_a_core_at_most(server: Server, tmp_path: Path) -> None:
    prober = Prober.start(server.url, work=tmp_path, field="release")
    before, began = cpu(prober._process.pid), time.monotonic()
    time.sleep(2.0)
    share = (cpu(prober._process.pid) - before) / (time.monotonic() - began)
    prober.stop()
    assert share <= 0.15


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("url", ["ftp://a.example", "/health", "http://user:word@a.example/"])
def test_an_address_that_cannot_be_asked_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError):
        Prober.start(url, work=tmp_path)
