"""Hosts that are lost in the middle of a run: within `max_failures` they are left out, and said to be unknown."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import pytest

from dojo_deploy.command import Command
from dojo_deploy.errors import LostError, TransportError, UnreachableError
from dojo_deploy.events import Event, StageFinished, Warned
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.plan import Lane, OnHost, Plan, Stage, Step
from dojo_deploy.release import Observed, Release
from dojo_deploy.transports.local import LocalShell
from tests.engine.rig import Fleet
from tests.engine.tiny import Tiny

Error = Callable[..., TransportError]


@dataclass
class Dying:
    """A host that is gone from the job on that has `last` in its text; `runs`: that one is carried out all the same."""

    inner: LocalShell
    last: bytes
    error: Error = LostError
    runs: bool = True
    is_gone: bool = field(default=False, init=False)

    @property
    def host(self) -> Host:
        return self.inner.host

    def stream(self, text: str, *, stdin: BinaryIO, **options: Any) -> int:
        script = stdin.read()
        if self.is_gone:
            raise UnreachableError("gone", host=self.host.name)
        if self.last not in script:
            return self.inner.stream(text, stdin=io.BytesIO(script), **options)
        self.is_gone = True
        if self.runs:
            self.inner.stream(text, stdin=io.BytesIO(script), **{**options, "on_output": lambda _: None})
        raise self.error("gone", host=self.host.name)

    def run(self, *args: Any, **options: Any) -> Any:
        if self.is_gone:
            raise UnreachableError("gone", host=self.host.name)
        return self.inner.run(*args, **options)

    def close(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Late(Tiny):
    """A host is asked for something more once it has its requests back."""

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        plan = super().plan(site, release, seen)
        late = Step("late", OnHost((Command.of("true", "late"),)))
        stages = [
            replace(stage, lanes=tuple(replace(lane, steps=(*lane.steps, late)) for lane in stage.lanes))
            if stage.tolerant
            else stage
            for stage in plan.stages
        ]
        finish = Stage("finish", tuple(Lane(host.name, (late,)) for host in site.select(self.limit)))
        return replace(plan, stages=(*stages, finish))


@dataclass(frozen=True)
class Doorless(Tiny):
    """Nothing can keep requests away from a host."""

    def plan(self, site: Inventory, release: Release, seen: Observed) -> Plan:
        plan = super().plan(site, release, seen)
        stages = [
            replace(stage, lanes=tuple(replace(lane, steps=lane.steps[1:-1]) for lane in stage.lanes))
            if stage.tolerant
            else stage
            for stage in plan.stages
        ]
        return replace(plan, stages=tuple(stages))


def lose(fleet: Fleet, host: str, at: bytes, error: Error = LostError, *, runs: bool = True) -> Dying:
    fleet.document["ssh"] = {"reach_within": 0.2}
    dying = Dying(LocalShell(fleet.site().hosts[host]), at, error, runs)
    fleet.shells[host] = dying
    return dying


@pytest.mark.parametrize(
    ("at", "error", "runs", "left"),
    [
        (b"count", UnreachableError, False, "v1 drained"),
        (b"fault-switch", LostError, False, "v1 drained"),
        (b"fault-switch", LostError, True, "v2 drained"),
        (b"true late", LostError, True, "v2 drained"),
    ],
)
def test_a_host_lost_within_max_failures_is_left_out_and_the_run_goes_on(
    fleet: Fleet, at: bytes, error: Error, runs: bool, left: str
) -> None:
    lose(fleet, "web1", at, error, runs=runs)
    result = fleet.deploy(Late(max_failures=1))
    assert (result.verdict, result.exit_code) == ("tolerated", 30)
    assert fleet.on() == {"web1": left, "web2": "v2"}
    # Where nothing began, nothing is unknown.
    told = "failed, undone and" if at == b"count" else "was lost and is"
    assert f"web1 {told} left out of the balancer" in result.reason
    assert fleet.log()[-1 if at == b"true late" else 0] in ("drain web1", "restore web2")
    assert not fleet.open_run()

    fleet.shells.clear()
    assert fleet.deploy(Tiny()).verdict == "done"
    assert (fleet.on(), fleet.is_clean()) == ({"web1": "v2", "web2": "v2"}, True)


def test_a_host_that_answers_again_in_time_is_undone_as_any_other(fleet: Fleet) -> None:
    dying = lose(fleet, "web1", b"fault-switch")

    def mend(event: Event) -> None:
        if isinstance(event, Warned):
            dying.last, dying.is_gone = b"never", False

    result = fleet.deploy(Tiny(max_failures=1), subscribers=(mend,))
    assert (result.verdict, fleet.on()) == ("tolerated", {"web1": "v1 drained", "web2": "v2"})
    assert "undone" in result.reason
    assert fleet.is_clean()


@pytest.mark.parametrize("strategy", [Tiny(), Tiny(max_failures=1, size=2), Doorless(max_failures=1)])
def test_a_lost_host_beyond_max_failures_or_that_nothing_keeps_out_ends_the_run(fleet: Fleet, strategy: Tiny) -> None:
    lose(fleet, "web1", b"fault-switch", runs=False)
    if strategy.size == 2:
        fleet.fault("web2", "switch")
    result = fleet.deploy(strategy)
    assert (result.verdict, result.exit_code) == ("mixed", 30)
    drained = "" if isinstance(strategy, Doorless) else " drained"
    assert fleet.on() == {"web1": f"v1{drained}", "web2": "v1"}
    assert fleet.open_run() == result.run

    fleet.shells.clear()
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert (fleet.on(), fleet.is_clean()) == ({"web1": "v1", "web2": "v1"}, True)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_run_that_lost_a_host_is_resumed_without_it(fleet: Fleet, comes_back: bool) -> None:
    lose(fleet, "web1", b"fault-switch", runs=False)

    def interrupt(event: Event) -> None:
        if isinstance(event, StageFinished) and event.stage == "batch 1":
            os.kill(os.getpid(), signal.SIGTERM)

    assert fleet.deploy(Late(max_failures=1), subscribers=(interrupt,)).verdict == "interrupted"
    if comes_back:
        fleet.shells.clear()
    result = fleet.go_on()
    assert (result.verdict, result.exit_code) == ("tolerated", 30)
    assert fleet.on() == {"web1": "v1 drained", "web2": "v2"}
    assert ("lost" in result.reason) is not comes_back
    assert fleet.are_open() == (() if comes_back else ("web1",))
    fleet.shells.clear()
    assert fleet.deploy(Tiny()).verdict == "done"
    assert (fleet.on(), fleet.is_clean()) == ({"web1": "v2", "web2": "v2"}, True)
