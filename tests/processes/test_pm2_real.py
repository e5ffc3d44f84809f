"""A real PM2 drives real workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import threading
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from pm2_machine import Machine, free_ports, until

from dojo_deploy.inventory import Process

SECRETS = ("first-secret", "second-secret", "caller-secret")
R1 = {"TOKEN": "first-secret", "ONLY_R1": "yes", "NODE_ENV": "production", "PORT": "1", "TZ": "Asia/Tokyo"}
R2 = {"TOKEN": "second-secret", "NODE_ENV": "production"}


@pytest.fixture
def deployed(machine: Machine) -> Machine:
    machine.release("r1", R1)
    machine.release("r2", R2)
    good(machine.activate("r1"))
    until(lambda: machine.ask()["code"] == "r1")
    return machine


def test_a_reload_takes_the_new_release_with_its_environment_and_a_rollback_restores_both(deployed: Machine) -> None:
    first = environment(deployed)
    assert (first["TOKEN"], first["RELEASE"], first["NODE_ENV"], first["TZ"]) == (
        "first-secret", "r1", "production", "Asia/Tokyo",
    )  # fmt: skip
    assert first["PORT"] == str(deployed.ports["blue"]), "what the run says wins over the release's own"
    assert deployed.running() == {"blue/web": ["r1"], "blue/jobs": ["r1"]}
    assert deployed.ask()["umask"] == "22", "a private umask must not reach the application's files"

    good(deployed.activate("r2"))
    second = environment(deployed)
    assert (second["TOKEN"], second["RELEASE"]) == ("second-secret", "r2")
    assert "ONLY_R1" not in second and "TZ" not in second
    assert deployed.running() == {"blue/web": ["r2"], "blue/jobs": ["r2"]}

    good(deployed.activate("r1"))
    assert (environment(deployed)["TOKEN"], environment(deployed)["ONLY_R1"]) == ("first-secret", "yes")
    assert log(deployed, "jobs") == ["worker r1", "worker r2", "worker r1"]


def test_no_secret_comes_to_rest_in_pm2_or_in_a_process_environment_block(deployed: Machine) -> None:
    good(deployed.run(*deployed.kind.save(deployed.place("r1"))))
    kept = {str(path): path.read_text() for path in deployed.home.rglob("*") if path.is_file()}
    kept["jlist"] = deployed.list()
    for _, pid, _ in deployed.rows():
        kept[f"environ {pid}"] = Path(f"/proc/{pid}/environ").read_text()
    kept["evidence"] = deployed.run(deployed.kind.evidence(deployed.place("r1"))).stdout
    assert not [(name, secret) for name, text in kept.items() for secret in SECRETS if secret in text]
    assert "shop.app-test-blue-web: online" in kept["evidence"] and "listening as r1" in kept["evidence"]
    for name in ("dump.pm2", "pm2.log"):
        assert mode(deployed.home / name) & 0o077 == 0 or mode(deployed.home) == 0o700


@pytest.mark.parametrize("left", ["17\0x", "1"], ids=["torn", "another program's"])
def test_a_pid_file_that_names_no_daemon_of_ours_stops_nothing(deployed: Machine, left: str) -> None:
    deployed.kill_daemon()
    (deployed.home / "pm2.pid").write_text(left)

    good(deployed.activate("r2"))

    assert (environment(deployed)["RELEASE"], deployed.running()["blue/web"]) == ("r2", ["r2"])


@pytest.mark.parametrize("instances", [1, 2])
def test_requests_under_load_survive_reloads(deployed: Machine, instances: int) -> None:
    deployed.each = {"web": replace(deployed.each["web"], instances=instances)}
    good(deployed.activate("r1"))
    stop, answers, lost = threading.Event(), [0], []

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", deployed.ports["blue"], timeout=5)
        while not stop.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                answers[0] += 1
                if answer.status != 200:
                    lost.append(str(answer.status))
            except (OSError, HTTPException) as error:
                lost.append(repr(error))
                connection.close()
            stop.wait(0.002)
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    try:
        for release in ("r2", "r1"):
            good(deployed.activate(release))
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert answers[0] > 200
    assert lost == []


def test_a_release_that_crashes_is_not_called_started_and_the_old_one_comes_back(deployed: Machine) -> None:
    deployed.each = {"web": replace(deployed.each["web"], instances=1, ready_within=2)}
    good(deployed.activate("r1"))
    deployed.release("bad", {}, broken=True)
    done = deployed.activate("bad")
    assert done.returncode == 1
    assert "shop.app-test-blue-web: 0 of 1 run" in done.stderr
    assert "broken release" in deployed.run(deployed.kind.evidence(deployed.place("bad"))).stdout
    good(deployed.activate("r1"))
    until(lambda: deployed.ask()["code"] == "r1")
    assert deployed.running() == {"blue/web": ["r1"]}


def test_a_resurrected_daemon_gives_workers_the_environment_of_the_current_release(deployed: Machine) -> None:
    good(deployed.activate("r2"))
    good(deployed.run(*deployed.kind.save(deployed.place("r2"))))
    assert mode(deployed.home / "dump.pm2") == 0o600
    deployed.sweep()
    assert deployed.rows() == []
    pm2(deployed, "resurrect")
    until(lambda: deployed.ask()["code"] == "r2")
    assert environment(deployed)["TOKEN"] == "second-secret"
    until(lambda: deployed.running() == {"blue/web": ["r2"], "blue/jobs": ["r2"]})
    good(deployed.activate("r1"))
    assert deployed.running() == {"blue/web": ["r1"], "blue/jobs": ["r1"]}


def test_changed_instances_mode_and_processes_are_taken_over(deployed: Machine) -> None:
    web, jobs = deployed.each["web"], deployed.each["jobs"]
    deployed.each = {"web": replace(web, instances=3)}
    good(deployed.activate("r2"))
    # Scaled up, and the process that is configured no more is gone; a fresh worker takes a moment to change folder.
    until(lambda: deployed.running() == {"blue/web": ["r2", "r2", "r2"]})
    deployed.each = {"web": replace(web, instances=1, mode="fork"), "jobs": replace(jobs, instances=2)}
    good(deployed.activate("r1"))
    until(lambda: deployed.running() == {"blue/web": ["r1"], "blue/jobs": ["r1", "r1"]})
    until(lambda: environment(deployed)["TOKEN"] == "first-secret")


def test_two_applications_on_one_daemon_do_not_meet(deployed: Machine) -> None:
    other = replace(deployed, root=deployed.root.parent / "other", name="shop.app-test-blue", ports=free_ports())
    other.root.mkdir()
    other.release("r1", {"TOKEN": "other-secret"})
    good(other.activate("r1"))
    plain = deployed.root.parent / "plain.config.js"
    (deployed.root.parent / "plain.js").write_text(
        "require('http').createServer((q, r) => r.end(String(process.env.TOKEN))).listen(process.env.PORT)"
    )
    port = free_ports(("blue",))
    app = {
        "name": "plain",
        "script": "plain.js",
        "cwd": str(plain.parent),
        "exec_mode": "cluster",
        "env": {"PORT": port["blue"]},
    }
    plain.write_text(f"module.exports = {json.dumps({'apps': [app]})}")
    pm2(deployed, "start", str(plain))

    def told() -> str:
        with contextlib.closing(HTTPConnection("127.0.0.1", port["blue"], timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()

    until(lambda: told() == "undefined")
    assert environment(other)["TOKEN"] == "other-secret" and environment(deployed)["TOKEN"] == "first-secret"
    good(deployed.run(*deployed.kind.stop(deployed.place("r1"))))
    assert deployed.rows() == []
    assert other.running() == {"blue/web": ["r1"], "blue/jobs": ["r1"]}
    assert told() == "undefined"
    good(deployed.run(*deployed.kind.stop(deployed.place("r1")))), "stopping twice is no error"


def test_a_save_after_the_daemon_died_keeps_the_other_applications_in_the_dump(deployed: Machine) -> None:
    (deployed.root.parent / "plain.js").write_text("setInterval(() => {}, 1000)")
    pm2(deployed, "start", str(deployed.root.parent / "plain.js"), "--name", "plain")
    pm2(deployed, "save")
    plain = next(entry["pid"] for entry in json.loads(deployed.list()) if entry["name"] == "plain")
    deployed.sweep()
    os.kill(plain, signal.SIGKILL)
    good(deployed.activate("r1"))
    good(deployed.run(*deployed.kind.save(deployed.place("r1"))))
    saved = [entry["name"] for entry in json.loads((deployed.home / "dump.pm2").read_text())]
    assert sorted(saved) == ["plain", "shop.app-test-blue-jobs", "shop.app-test-blue-web"]


def test_a_name_that_somebody_else_uses_is_refused(machine: Machine) -> None:
    machine.release("r1", R1)
    (machine.root / "mine.js").write_text("setInterval(() => {}, 1000)")
    pm2(machine, "start", str(machine.root / "mine.js"), "--name", "shop.app-test-blue-web")
    done = machine.activate("r1")
    assert done.returncode == 1 and "that is not ours: pm2 delete" in done.stderr
    assert "mine.js" in machine.list()
    pm2(machine, "delete", "shop.app-test-blue-web")


def test_a_proof_runs_beside_the_site_from_its_own_folder_with_workers_paused(deployed: Machine) -> None:
    place = deployed.place("r2", "proof")
    deployed.write(place)
    for _ in range(2):
        good(deployed.run(*deployed.kind.prove(place)))
    until(lambda: deployed.ask("proof")["code"] == "r2")
    proof = deployed.ask("proof")["env"]
    assert isinstance(proof, dict)
    assert (proof["WORKERS"], proof["TOKEN"], proof["RELEASE"], proof["INSTANCES"]) == (
        "paused", "second-secret", "r2", "1",
    )  # fmt: skip
    assert deployed.running() == {"blue/web": ["r1"], "blue/jobs": ["r1"], "proof/web": ["r2"]}
    assert "proof-web: online" in deployed.run(deployed.kind.evidence(deployed.place("r2", "proof"))).stdout
    for _ in range(2):
        good(deployed.run(*deployed.kind.unprove(place)))
    assert deployed.running() == {"blue/web": ["r1"], "blue/jobs": ["r1"]}


def test_running_counts_what_outlives_its_daemon_but_neither_children_nor_stale_pid_files(deployed: Machine) -> None:
    fork = Process(script="server.js", port=1, mode="fork", ready_within=5, stop_within=2)
    deployed.each = {"web": fork}
    release = deployed.root / "releases" / "r2"
    (release / "server.js").write_text(
        "require('child_process').spawn('sleep', ['60']);" + (release / "server.js").read_text()
    )
    good(deployed.activate("r2"))
    assert deployed.running() == {"blue/web": ["r2"]}
    deployed.kill_daemon()
    assert list((deployed.home / "pids").glob("*.pid"))
    rows = deployed.rows()
    assert [key for key, _, _ in rows] == ["blue/web"], "a worker in fork mode outlives its daemon"
    good(deployed.activate("r1"))
    assert deployed.running() == {"blue/web": ["r1"]}, "the orphan was ended, or it would hold the port"
    until(lambda: deployed.ask()["code"] == "r1")


def test_a_reload_that_was_cut_off_is_finished_by_the_next(deployed: Machine) -> None:
    place = deployed.place("r2")
    link = Path(place.layout.current("blue"))
    link.unlink()
    link.symlink_to(place.layout.release("r2"))
    cut = subprocess.Popen(
        ["pm2", "reload", str(link.parent / "ecosystem.config.js")],
        env=deployed.environment(),
        stdout=subprocess.DEVNULL,
    )
    until(lambda: (deployed.home / "reload.lock").exists() or cut.poll() is not None)
    cut.kill()
    cut.wait()
    good(deployed.activate("r2"))
    assert deployed.running() == {"blue/web": ["r2"], "blue/jobs": ["r2"]}


def good(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def pm2(machine: Machine, *words: str) -> None:
    subprocess.run(
        ["pm2", *words],
        env=machine.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )


def environment(machine: Machine) -> dict[str, Any]:
    found = machine.ask()["env"]
    assert isinstance(found, dict)
    return found


def log(machine: Machine, process: str) -> list[str]:
    return (machine.home / "logs" / f"shop.app-test-blue-{process}-out.log").read_text().splitlines()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
