"""Up, down, status: again, at once, halfway, side by side; and never at the cost of somebody else's process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import sandbox
from dojo_deploy.errors import RefusedError
from dojo_deploy.sandbox import hosts, proc
from dojo_deploy.sandbox.layout import Layout
from dojo_deploy.sandbox.proc import Process
from dojo_deploy.sandbox.waiting import answers, until

from .clients import State, client_to, run, s3_client

pytestmark = pytest.mark.sandbox
# Seconds until a busy machine has ended or begun a process.
LATEST = 30.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a sandbox beside the session's."""
    home = tmp_path_factory.mktemp("lifecycle") / "home"
    yield home
    seen = ports(sandbox.up(home, hosts=1))
    sandbox.down(home, destroy=True)
    assert not home.exists()
    assert [path for path in Path("/tmp").glob("seaweedfs-*.sock") if int(path.stem.rsplit("-")[-1]) in seen] == []


def test_two_at_once_make_one_sandbox(own: Path, state: State) -> None:
    code = "import sys, pathlib; from dojo_deploy import sandbox; sandbox.up(pathlib.Path(sys.argv[1]), hosts=1)"
    both = [subprocess.Popen([sys.executable, "-c", code, str(own)], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(each.wait(4 * LATEST), each.communicate()[1]) for each in both] == [(0, b""), (0, b"")]
    assert all(line["alive"] for line in sandbox.status(own))
    # And nothing holds the lock: this returns.
    mine = sandbox.up(own, hosts=1)
    assert mine["services"]["postgres"]["pid"] == pids(own)["postgres"]
    # Side by side with the session's sandbox.
    assert not set(ports(mine)) & set(ports(state))
    assert all(line["alive"] for line in sandbox.status(Path(state["home"])))


def test_up_again_changes_nothing(own: Path) -> None:
    before = (sandbox.up(own, hosts=1), pids(own))
    assert (sandbox.up(own, hosts=1), pids(own)) == before
    assert (own / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["ssh", "nginx", "postgres", "redis", "s3"])
def test_a_dead_service_comes_back_where_it_was(own: Path, name: str) -> None:
    before = sandbox.up(own, hosts=1)
    victim = pids(own)[name]
    others = {other: pid for other, pid in pids(own).items() if other != name}
    os.kill(victim, signal.SIGKILL)
    until(lambda: not line(own, name)["alive"], LATEST, f"the end of {name}")
    assert ports(sandbox.up(own, hosts=1)) == ports(before)
    assert line(own, name)["alive"]
    assert pids(own)[name] != victim
    assert {other: pid for other, pid in pids(own).items() if other != name} == others


def test_more_hosts_and_apps_join_without_moving_anybody(own: Path) -> None:
    before = sandbox.up(own, hosts=1)
    processes = pids(own)
    after = sandbox.up(own, hosts=2, apps=("tcgdojo", "second-app"))
    assert pids(own) == processes
    assert set(ports(before)) < set(ports(after))
    until(lambda: answers(after["hosts"][1]["port"]), LATEST, "web2")
    assert run(client_to(after, "web2"), "echo here").out == b"here\n"
    second = after["apps"][1]
    assert (second["upstream"], second["database"]) == ("second_app_sandbox", "dojo_second_app")
    until(lambda: answers(second["listen"]), LATEST, "the second site")
    assert ports(sandbox.up(own, hosts=1)) == ports(after)


def test_nginx_restarted_over_ssh_is_found_again(own: Path) -> None:
    client = client_to(sandbox.up(own, hosts=1), "lb1")
    assert run(client, "nginx -s stop").code == 0
    until(lambda: not line(own, "nginx")["alive"], LATEST, "the end of nginx")
    assert run(client, "nginx").code == 0
    until(lambda: bool(line(own, "nginx")["alive"]), LATEST, "the new nginx")
    pid = pids(own)["nginx"]
    sandbox.up(own, hosts=1)
    assert pids(own)["nginx"] == pid


def test_down_ends_its_own_processes_and_no_other(own: Path) -> None:
    state = sandbox.up(own, hosts=1)
    client = client_to(state, "web1")
    stubborn = Path(state["hosts"][0]["home"]) / "app.js"
    stubborn.write_text("setInterval(() => {}, 1000); process.on('SIGINT', () => {});")
    assert run(client, "pm2 start app.js -i 2").code == 0
    assert run(client, "trap '' TERM INT HUP; sleep 300 </dev/null >/dev/null 2>&1 &").code == 0
    layout = Layout(own)
    began = [process for process in proc.everyone() if hosts.is_inside(layout, proc.environment(process))]
    assert len(began) >= 4
    foreign = subprocess.Popen(["sleep", "300"], cwd=own)
    try:
        # A record whose pid is somebody else's by now.
        record = layout.record("redis")
        redis = pids(own)["redis"]
        assert redis
        real = record.read_text()
        fields = (proc.PROC / str(foreign.pid) / "stat").read_text().split()
        fields[21] = str(int(fields[21]) - 1)
        os.kill(redis, signal.SIGKILL)
        record.write_text(" ".join(fields) + "\n" + real.splitlines()[1] + "\n")
        start = time.monotonic()
        sandbox.down(own)
        assert time.monotonic() - start < 8
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
    assert [process for process in [*began, *services(state)] if process.alive] == []
    assert not any(answers(port) for port in ports(state))
    sandbox.down(own)
    assert [line["alive"] for line in sandbox.status(own)] == [False] * 5
    assert (own / "data" / "postgres" / "PG_VERSION").is_file()


def test_data_survive_down_and_up(own: Path) -> None:
    state = sandbox.up(own, hosts=1)
    redis = pytest.importorskip("redis")
    redis.Redis.from_url(state["redis"]["url"]).set("kept", "yes")
    s3_client(state).put_object(Bucket="dojo", Key="kept", Body=b"yes")
    sandbox.down(own)
    sandbox.up(own, hosts=1)
    assert redis.Redis.from_url(state["redis"]["url"]).get("kept") == b"yes"
    assert s3_client(state).get_object(Bucket="dojo", Key="kept")["Body"].read() == b"yes"


def test_a_port_taken_meanwhile_is_said_at_once(own: Path) -> None:
    state = sandbox.up(own, hosts=1)
    os.kill(state["services"]["redis"]["pid"], signal.SIGKILL)
    until(lambda: not line(own, "redis")["alive"], LATEST, "the end of redis")
    until(lambda: is_free(state["ports"]["redis"]), LATEST, "redis to let go of its port")
    with socket.create_server(("127.0.0.1", state["ports"]["redis"])):
        start = time.monotonic()
        with pytest.raises(RefusedError, match=r"(?s)Redis.*already in use"):
            sandbox.up(own, hosts=1)
        assert time.monotonic() - start < LATEST
    sandbox.up(own, hosts=1)
    assert all(line["alive"] for line in sandbox.status(own))


def test_nothing_is_there_before_it_is_made(tmp_path: Path) -> None:
    assert sandbox.status(tmp_path / "none") == []
    sandbox.down(tmp_path / "none", destroy=True)
    assert not (tmp_path / "none").exists()


def is_free(port: int) -> bool:
    """A process that was killed may still hold its port for a moment."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def line(home: Path, name: str) -> dict[str, Any]:
    return next(line for line in sandbox.status(home) if line["name"] == name)


def pids(home: Path) -> dict[str, int | None]:
    return {line["name"]: line["pid"] for line in sandbox.status(home)}


def ports(state: State) -> list[int]:
    slots = [port for host in state["hosts"] for slots in host["slots"].values() for port in slots.values()]
    hosts = [host["port"] for host in state["hosts"]]
    return [*slots, *hosts, *state["nginx"]["listen"].values(), *state["ports"].values()]


def services(state: State) -> list[Process]:
    return [Process(**service) for service in state["services"].values()]
