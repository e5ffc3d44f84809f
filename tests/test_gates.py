from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, GateFailedError, InterruptedRunError, LostError
from dojo_deploy.events import Event, GateRead
from dojo_deploy.gates import Passed, hold
from dojo_deploy.interfaces import Completed, Reading
from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.plan import Gate, Target
from dojo_deploy.probes.http import HttpProbe
from tests.probes.conftest import Machine, Server

TARGET = Target("web1", "blue", "r2")
GATE = Gate(probes=("health",), every=1.0, grace=0.0, within=60.0, in_a_row=3, target=TARGET)


class FakeClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        assert seconds >= 0
        assert wake is not None, "a sleep that a signal cannot wake"
        if not wake.is_set():
            self.time += seconds


@dataclass
class Scripted:
    """Answers by a script, a letter a reading: `.` passes, `x` fails, the last repeats; each takes `took` s."""

    clock: FakeClock
    script: str
    took: float = 0.0
    offered: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def check(self, session: object, target: Target, *, within: float) -> Reading:  # noqa: ARG002
        letter = self.script[min(len(self.offered), len(self.script) - 1)]
        self.offered.append(within)
        self.at.append(self.clock.time - 1000.0)
        self.clock.time += min(self.took, within)
        return Reading(letter == ".", f"reading {len(self.offered)}")


class Evidence:
    """A process manager whose evidence is a command, and a shell that answers it."""

    def __init__(self, answer: Callable[[], Completed]) -> None:
        self.answer = answer

    def evidence(self, place: Any) -> Command:
        return Command.of("evidence", place.slot, place.release)

    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        assert command == Command.of("evidence", "blue", "r2") and within > 0 and stdin == b""
        return self.answer()


class Site:
    """A session with a fake clock."""

    def __init__(self, *scripts: str, took: float = 0.0, evidence: Callable[[], Completed] | None = None) -> None:
        self.clock = FakeClock()
        self.cancelled = threading.Event()
        names = ("health", "database", "release")
        self.probes = {name: Scripted(self.clock, script, took) for name, script in zip(names, scripts, strict=False)}
        self.host = Evidence(evidence or (lambda: Completed(0, b"web errored\nError: no such table")))
        app = App("shop", environment="test", processes=Processes(self.host, {"web": Process(port=1)}))  # type: ignore[arg-type]
        hosts = {"web1": Host("web1", ("web",), "10.0.0.1", "/srv/shop")}
        self.inventory = SimpleNamespace(app=app, hosts=hosts, probes=self.probes, path="production.yml")
        self.events: list[Event] = []

    def shell(self, host: str) -> Evidence:
        assert host == "web1"
        return self.host

    def hold(self, gate: Gate) -> Passed:
        return hold(gate, self, emit=self.events.append, step="web/web1/switch")  # type: ignore[arg-type]

    @property
    def seconds(self) -> float:
        return self.clock.time - 1000.0


def test_it_passes_after_so_many_rounds_in_a_row() -> None:
    site = Site(".")
    assert site.hold(GATE) == Passed(seconds=2.0, readings=3)
    assert site.probes["health"].at == [0.0, 1.0, 2.0]


def test_a_failure_between_takes_the_count_back_to_0() -> None:
    site = Site("..x..x...")
    assert site.hold(GATE) == Passed(seconds=8.0, readings=9)


def test_flapping_for_ever_ends_at_the_deadline() -> None:
    site = Site("..x" * 100)
    with pytest.raises(GateFailedError, match="no 3 passed rounds in a row within 10 s"):
        site.hold(replace(GATE, within=10.0))
    assert site.seconds <= 10.0


def test_failures_in_a_row_end_it_before_the_deadline() -> None:
    site = Site("x")
    with pytest.raises(GateFailedError, match="3 failed rounds in a row"):
        site.hold(GATE)
    assert site.seconds == 2.0


@pytest.mark.parametrize(("grace", "seconds"), [(0.0, 2.0), (4.5, 7.0), (5.0, 7.0), (5.01, 8.0)])
def test_failures_count_from_the_first_round_that_begins_at_grace(grace: float, seconds: float) -> None:
    site = Site("x")
    with pytest.raises(GateFailedError):
        site.hold(replace(GATE, grace=grace))
    assert site.seconds == seconds
    counted = [event.counts for event in site.events if isinstance(event, GateRead)]
    assert counted == [at >= grace for at in site.probes["health"].at]


def test_passed_rounds_count_within_grace() -> None:
    assert Site("xx...").hold(replace(GATE, grace=30.0)) == Passed(seconds=4.0, readings=5)


def test_failures_within_grace_still_reset_the_count() -> None:
    assert Site("..x...").hold(replace(GATE, grace=30.0)) == Passed(seconds=5.0, readings=6)


@pytest.mark.parametrize(("within", "passes"), [(2.0, False), (2.01, True), (3.0, True)])
def test_a_round_that_could_not_begin_in_time_is_not_begun(within: float, passes: bool) -> None:
    site = Site(".")
    if passes:
        assert site.hold(replace(GATE, within=within)).readings == 3
    else:
        with pytest.raises(GateFailedError):
            site.hold(replace(GATE, within=within))
    assert site.seconds < within


def test_a_probe_is_offered_5_seconds_or_what_is_left() -> None:
    site = Site("xxxx", took=100.0)
    with pytest.raises(GateFailedError):
        site.hold(replace(GATE, within=12.0, grace=60.0))
    assert site.probes["health"].offered == [5.0, 5.0, 2.0]
    assert site.seconds == 12.0


def test_rounds_begin_every_so_often_however_long_a_probe_takes() -> None:
    site = Site(".", took=0.4)
    site.hold(GATE)
    assert site.probes["health"].at == pytest.approx([0.0, 1.0, 2.0])


def test_a_round_passes_only_when_every_probe_does() -> None:
    site = Site(".", "x....")
    assert site.hold(replace(GATE, probes=("health", "database"))) == Passed(seconds=3.0, readings=8)
    assert [event.probe for event in site.events if isinstance(event, GateRead)][:2] == ["health", "database"]


def test_a_failure_carries_the_last_readings_and_what_the_host_says() -> None:
    site = Site("x", ".")
    with pytest.raises(GateFailedError) as caught:
        site.hold(replace(GATE, probes=("health", "database"), in_a_row=5))
    cause = caught.value.cause
    assert "reading 5" in cause and "reading 3" in cause and "reading 2" not in cause
    assert "database: ok after" in cause and "health: FAILED after" in cause
    assert cause.endswith("evidence from web1:\nweb errored\nError: no such table")


def test_a_host_that_gives_no_evidence_does_not_hide_the_failure() -> None:
    def lost() -> Completed:
        raise LostError("gone", host="web1")

    with pytest.raises(GateFailedError) as caught:
        Site("x", evidence=lost).hold(GATE)
    assert "no evidence from web1: web1: gone" in caught.value.cause


def test_an_unknown_probe_is_refused_before_anything_is_asked() -> None:
    site = Site(".")
    with pytest.raises(ConfigError, match=r"production\.yml.*no probe 'helth'") as caught:
        site.hold(replace(GATE, probes=("health", "helth")))
    assert "health" in caught.value.hint and site.events == []


def test_a_gate_aimed_at_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="aimed at nothing"):
        Site(".").hold(replace(GATE, target=None))


def test_a_signal_ends_it_between_two_rounds() -> None:
    site = Site("x")

    def emit(event: Event) -> None:
        site.events.append(event)
        site.cancelled.set()

    with pytest.raises(InterruptedRunError):
        hold(GATE, site, emit=emit, step="s")  # type: ignore[arg-type]
    assert len(site.events) == 1 and site.seconds == 0.0


def test_a_gate_that_has_just_passed_is_passed_though_a_signal_came() -> None:
    site = Site(".")

    def emit(event: Event) -> None:
        site.events.append(event)
        if len(site.events) == 3:
            site.cancelled.set()

    assert hold(GATE, site, emit=emit, step="s") == Passed(2.0, 3)  # type: ignore[arg-type]


@given(
    script=st.text("x.", min_size=1, max_size=40),
    in_a_row=st.integers(1, 5),
    grace=st.floats(0, 20),
    within=st.floats(0.5, 40),
    took=st.floats(0, 7),
)
def test_the_verdict_is_that_of_the_definition(
    script: str, in_a_row: int, grace: float, within: float, took: float
) -> None:
    site = Site(script, took=took)
    try:
        site.hold(replace(GATE, in_a_row=in_a_row, grace=grace, within=within))
        passed = True
    except GateFailedError:
        passed = False
    read = [(event.ok, event.counts) for event in site.events if isinstance(event, GateRead)]
    oks = [ok for ok, _ in read]
    assert site.seconds <= within + 1e-6
    assert passed == (oks[-in_a_row:] == [True] * in_a_row)
    # It ends at the first verdict: no earlier window of readings would have decided it.
    for end in range(in_a_row, len(read)):
        window = read[end - in_a_row : end]
        assert not all(ok for ok, _ in window)
        assert not all(counts and not ok for ok, counts in window)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_an_endpoint_that_never_answers_ends_within_the_deadline(tmp_path: Any, server: Server) -> None:
    server.serve = server.hangs
    error, seconds = held(Machine(tmp_path / "srv", server.port), {"health": HttpProbe()}, within=1.0)
    assert isinstance(error, GateFailedError) and "timed out" in error.cause
    assert 0.9 < seconds < 1.6


def test_the_wrong_release_fails_though_healthy_and_the_cause_names_both(tmp_path: Any, server: Server) -> None:
    machine = Machine(tmp_path / "srv", server.port)
    error, _ = held(machine, {"health": HttpProbe()}, within=5.0, release="r3")
    assert isinstance(error, GateFailedError) and "answers release r2, want r3" in error.cause


def held(machine: Machine, probes: Mapping[str, Any], *, within: float, release: str = "r2") -> tuple[Any, float]:
    machine.inventory = replace(machine.inventory, probes=probes)
    gate = Gate(("health",), every=0.05, grace=0.0, within=within, in_a_row=2, target=replace(TARGET, release=release))
    started = time.monotonic()
    try:
        return hold(gate, machine, emit=lambda _: None, step="s"), time.monotonic() - started  # type: ignore[arg-type]
    except GateFailedError as exc:
        return exc, time.monotonic() - started
