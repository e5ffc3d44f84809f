"""Units under a systemd that runs here, with its journal; the deploy user is one of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import systemd_bed
from pm2_machine import free_ports, until
from systemd_bed import Bed, BedShell, Machine

from dojo_deploy.clock import SystemClock
from dojo_deploy.engine.hostjob import Job, JobStep, carry
from dojo_deploy.engine.observe import answer, question
from dojo_deploy.inventory import Inventory, Process
from dojo_deploy.plan import Gate, OnHost, Step
from dojo_deploy.processes.systemd import Systemd
from dojo_deploy.release import HostSeen
from dojo_deploy.sandbox import toolchain
from dojo_deploy.steps.services import switch

ODD = "a b\"c'd \\ %i $HOME ${HOME} `id` #; \t\n next é \\x41"


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    if reason := systemd_bed.missing():
        pytest.skip(reason)
    with systemd_bed.made(toolchain.node().parent) as one:
        yield one


@pytest.fixture
def machine(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Machine]:
    name = "app" + str(abs(hash(request.node.name)) % 10**8)
    root = bed.home.parent / "srv %n" / name
    root.mkdir(parents=True)
    one = Machine(bed, root, name, free_ports())
    for release in ("r1", "r2"):
        one.release(release, f"export TOKEN='secret of {release}'\nexport PORT=1\nexport COLOUR=red\n")
    yield one
    for slot in ("blue", "green", "proof"):
        one.run(*one.kind.stop(one.place("", slot)))


def test_start_replaces_what_runs_and_stop_ends_it(machine: Machine) -> None:
    assert machine.running() == {}
    for release in ("r1", "r2"):
        done = machine.start(machine.place(release))
        assert done.returncode == 0, done.stderr
        assert machine.running() == {"blue/web": [release], "blue/jobs": [release, release]}
        answer = machine.ask()
        env = answer["env"]
        assert isinstance(env, dict)
        assert (answer["code"], env["RELEASE"], env["TOKEN"]) == (release, release, f"secret of {release}")
        assert (env["PORT"], env["COLOUR"]) == (str(machine.ports["blue"]), "blue"), "the slot's own win"
    for _ in range(2):
        done = machine.run(*machine.kind.stop(machine.place("r2")))
        assert done.returncode == 0, done.stderr
    assert machine.running() == {}


def test_host_jobs_switch_and_switch_back_and_a_look_finds_what_runs(machine: Machine) -> None:
    first, second = machine.place("r1"), machine.place("r2")
    nothing: Any = None
    site = Inventory(first.app, {"web1": first.host}, {"web": ("web1",)}, store=nothing, balancer=nothing)
    shell = BedShell(first.host, machine.bed)
    said: list[object] = []

    def done(step: Step | None) -> HostSeen:
        assert step and isinstance(step.action, OnHost)
        one = JobStep(f"stage/web1/{len(said)} {step.name}", step.action.commands, step.deadline)
        job = Job("run-1", 1, "store", first.scope, first.layout, (one,))
        (result,) = carry(shell, job, on_frame=said.append, clock=SystemClock(), reach=5)
        assert result.outcome == "done", said
        looked = shell.run(question(site, first.host, platform=False, room=False), within=20)
        assert looked.ok, looked.complaint
        return answer(first.host, looked.text)

    fresh, change = switch(first, back_to="", gate=Gate()), switch(second, back_to="r1", gate=Gate())
    for step, release in ((fresh, "r1"), (change, "r2"), (change.undo, "r1")):
        seen = done(step)
        assert (seen.current, seen.is_healthy("blue")) == ({"blue": release}, True)
        assert seen.running == {"blue/web": (release,), "blue/jobs": (release, release)}
    seen = done(fresh.undo)
    assert (seen.current, seen.running) == ({}, {})


def test_odd_values_arrive_as_they_were_written(machine: Machine) -> None:
    machine.each = {"web": Process(script="server.js", args=(ODD, "--x"), port=1, env={"ODD": ODD})}
    done = machine.start(machine.place("r1"))
    assert done.returncode == 0, done.stderr
    answer = machine.ask()
    assert isinstance(answer["env"], dict)
    assert (answer["args"], answer["env"]["ODD"], answer["env"]["INSTANCE"]) == ([ODD, "--x"], ODD, "1")


def test_what_is_not_configured_any_more_is_stopped_and_the_rest_left_alone(machine: Machine) -> None:
    machine.start(machine.place("r1"))
    machine.each["jobs"] = replace(machine.each["jobs"], instances=1)
    before = {pid for key, pid, _ in machine.rows() if key == "blue/web"}
    machine.start(machine.place("r2", only=("jobs",)))
    assert machine.running() == {"blue/web": ["r1"], "blue/jobs": ["r2"]}
    assert {pid for key, pid, _ in machine.rows() if key == "blue/web"} == before
    del machine.each["jobs"]
    machine.start(machine.place("r2"))
    assert machine.running() == {"blue/web": ["r2"]}


def test_a_colour_starts_without_its_workers_and_takes_them_over(machine: Machine) -> None:
    machine.start(machine.place("r1"))
    machine.start(machine.place("r2", "green", only=("web",), workers="paused"))
    assert machine.running() == {"blue/web": ["r1"], "blue/jobs": ["r1", "r1"], "green/web": ["r2"]}
    answer = machine.ask("green")
    assert isinstance(answer["env"], dict) and answer["env"]["WORKERS"] == "paused"
    machine.run(*machine.kind.stop(machine.place("r1", only=("jobs",))))
    machine.start(machine.place("r2", "green", only=("jobs",)))
    assert machine.running() == {"blue/web": ["r1"], "green/web": ["r2"], "green/jobs": ["r2", "r2"]}
    assert machine.ask("green")["pid"] == answer["pid"]
    os.kill(int(str(answer["pid"])), signal.SIGKILL)
    until(lambda: machine.ask("green")["pid"] != answer["pid"])
    again = machine.ask("green")["env"]
    assert isinstance(again, dict) and "WORKERS" not in again, "what holds now, not what held when it was started"


def test_a_proof_runs_beside_the_site_once_and_is_gone(machine: Machine) -> None:
    machine.start(machine.place("r1"))
    proof = machine.place("r2", "proof")
    machine.write(proof)
    for _ in range(2):
        assert machine.run(*machine.kind.prove(proof)).returncode == 0
    answer = machine.ask("proof")
    assert isinstance(answer["env"], dict)
    assert (answer["code"], answer["env"]["WORKERS"], answer["env"]["INSTANCES"]) == ("r2", "paused", "1")
    assert machine.running() == {"blue/web": ["r1"], "blue/jobs": ["r1", "r1"], "proof/web": ["r2"]}
    for _ in range(2):
        assert machine.run(*machine.kind.unprove(proof)).returncode == 0
    assert machine.running() == {"blue/web": ["r1"], "blue/jobs": ["r1", "r1"]}


def test_what_was_saved_comes_back_after_a_reboot_and_nothing_else(machine: Machine) -> None:
    machine.start(machine.place("r1"))
    machine.start(machine.place("r2", "green"))
    assert machine.run(*machine.kind.save(machine.place("r2"))).returncode == 0
    machine.run(*machine.kind.stop(machine.place("r1")))
    machine.run(*machine.kind.stop(machine.place("r2", "green", only=("jobs",))))
    for _ in range(2):
        done = machine.run(*machine.kind.save(machine.place("r2")))
        assert (done.returncode, done.stderr) == (0, "")
    machine.bed.shut_down()
    assert machine.running() == {}, "no manager is no process, and no error"
    machine.bed.boot()
    assert machine.running() == {"green/web": ["r2"]}


def test_a_failed_gate_is_shown_what_the_journal_has(machine: Machine) -> None:
    machine.release("bad", broken=True)
    done = machine.start(machine.place("bad"))
    assert done.returncode == 0, done.stderr

    def said() -> str:
        return machine.run(machine.kind.evidence(machine.place("bad"))).stdout

    until(lambda: "boom: a broken release" in said())
    assert f"{machine.name}-test-blue-web@1.service - {machine.name}-test blue web, release bad" in said()
    assert "worker 2 of bad" in said()
    assert "secret of" not in said()


def test_a_start_line_is_kept_in_the_foreground_and_its_children_end_with_it(machine: Machine) -> None:
    stop = 'echo stopping "$COLOUR $MAINPID" >> "$SHARED_DIR/log"'
    line = 'trap "" TERM; node worker.js & node worker.js & wait; wait; wait'
    machine.each = {"jobs": Process(start=line, stop=stop, stop_within=1)}
    (machine.root / "shared").mkdir()
    done = machine.start(machine.place("r1"))
    assert done.returncode == 0, done.stderr
    ((key, shell, release),) = machine.rows()
    assert (key, release) == ("blue/jobs", "r1")
    children = Path(f"/proc/{shell}/task/{shell}/children")
    until(lambda: len(children.read_text().split()) == 2)
    pids = children.read_text().split()
    assert machine.run(*machine.kind.stop(machine.place("r1"))).returncode == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert (machine.root / "shared" / "log").read_text() == f"stopping blue {shell}\n"


def test_a_user_whose_processes_would_end_with_the_connection_is_refused(machine: Machine) -> None:
    machine.bed.as_root("mv /var/lib/systemd/linger/bed /var/lib/systemd/linger/nobody")
    try:
        done = machine.start(machine.place("r1"))
        assert done.returncode == 1 and "as root, once: loginctl enable-linger bed" in done.stderr
        assert machine.running() == {}
    finally:
        machine.bed.as_root("mv /var/lib/systemd/linger/nobody /var/lib/systemd/linger/bed")


def test_two_roots_with_one_name_and_names_that_go_on_are_kept_apart(machine: Machine) -> None:
    machine.start(machine.place("r1"))
    twin = Machine(machine.bed, machine.bed.home.parent / "twin" / machine.name, machine.name, free_ports())
    longer = Machine(
        machine.bed, machine.bed.home.parent / "longer" / machine.name, f"{machine.name}-test-blue", free_ports()
    )
    for other in (twin, longer):
        other.root.mkdir(parents=True)
        other.release("r9")
    done = twin.start(twin.place("r9"))
    assert done.returncode == 1 and "already exists" in done.stderr
    assert longer.start(longer.place("r9")).returncode == 0
    machine.start(machine.place("r2"))
    assert (machine.running(), twin.running()) == ({"blue/web": ["r2"], "blue/jobs": ["r2", "r2"]}, {})
    assert longer.running() == {"blue/web": ["r9"], "blue/jobs": ["r9", "r9"]}
    longer.run(*longer.kind.stop(longer.place("r9")))


@pytest.mark.parametrize("units", ["user", "system"])
def test_systemd_has_nothing_to_say_against_a_unit(bed: Bed, tmp_path: Path, units: str) -> None:
    kind = Systemd(units=units, node="/run/node/node")
    machine = Machine(bed, tmp_path, "verified", {"blue": 1, "proof": 2}, kind)
    machine.each["web"] = Process(script="server.js", args=(ODD,), port=1, env={"ODD": ODD}, stop="true")
    (bed.home.parent / units).mkdir(exist_ok=True)
    for name, text in kind.files(replace(machine.place("r1"), release="r1")).items():
        path = bed.home.parent / units / Path(name).name.replace("@", "@1")
        path.write_text(text.replace("User=deploy\n", "User=bed\n"))
        done = bed.run(f"XDG_RUNTIME_DIR=/run/user/{bed.uid} systemd-analyze verify --{units} '{path}'")
        assert (done.returncode, done.stderr) == (0, "")
