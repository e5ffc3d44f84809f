"""Undoing, over real host jobs: what is unknown is asked, what failed can be tried again, who fails stays out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import pytest

from dojo_deploy.engine import ledger
from dojo_deploy.errors import LostError
from dojo_deploy.events import Event, StepFinished, UndoStarted
from dojo_deploy.inventory import Host
from dojo_deploy.steps.rollout import Bake
from dojo_deploy.strategies.restart import Restart
from dojo_deploy.transports.local import LocalShell
from tests.engine.rig import Fleet, Hasty
from tests.engine.tiny import GATE, NEW, Tiny


@dataclass
class Cut:
    """Jobs with `marked` in their text run, and nobody hears of it."""

    inner: LocalShell
    marked: bytes
    is_cut: bool = False
    heard: list[str] = field(default_factory=list)

    @property
    def host(self) -> Host:
        return self.inner.host

    def stream(self, text: str, *, stdin: BinaryIO, **options: Any) -> int:
        import io

        script = stdin.read()
        if self.is_cut:
            raise LostError("gone", host=self.host.name)
        if self.marked in script:
            self.is_cut = True
            options["on_output"] = lambda _: None
        status = self.inner.stream(text, stdin=io.BytesIO(script), **options)
        if self.is_cut:
            raise LostError("gone", host=self.host.name)
        return status

    def run(self, *args: Any, **options: Any) -> Any:
        if self.is_cut:
            raise LostError("gone", host=self.host.name)
        return self.inner.run(*args, **options)

    def close(self) -> None:
        """Nothing is kept."""


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_step_whose_answer_never_came_is_undone_or_its_host_stays_out(fleet: Fleet, comes_back: bool) -> None:
    fleet.document["lock"] = {"ttl": 1000}
    cut = Cut(LocalShell(fleet.site().hosts["web1"]), b"fault-switch")
    fleet.shells["web1"] = cut

    def mend(event: Event) -> None:
        if isinstance(event, UndoStarted) and comes_back:
            cut.is_cut = False

    result = fleet.deploy(clock=Hasty(), subscribers=(mend,))
    told = {event.step: event.outcome for event in fleet.events if isinstance(event, StepFinished)}
    assert told["batch 1/web1/switch"] == "unknown"
    if comes_back:
        assert (result.verdict, result.exit_code) == ("rolled back", 20)
        assert fleet.on() == {"web1": "v1", "web2": "v1"}
        assert fleet.is_clean()
    else:
        assert (result.verdict, result.exit_code) == ("mixed", 30)
        assert fleet.on() == {"web1": "v2 drained", "web2": "v1"}
        assert fleet.open_run() == result.run


def test_on_a_host_that_could_not_even_store_its_job_nothing_began(fleet: Fleet) -> None:
    """As with a full disk."""
    state = fleet.base / "web2" / ".dojo"
    state.mkdir(mode=0o700)
    (state / "runs").write_text("no folder")
    result = fleet.deploy()
    assert "the job could not be stored" in result.reason
    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert fleet.on() == {"web1": "v1", "web2": "v1"}
    assert fleet.is_clean()


def test_an_undo_that_failed_is_tried_again_once_the_host_is_mended(fleet: Fleet) -> None:
    fleet.fault("web1", "gate")
    back = fleet.fault("web1", "back")
    assert fleet.deploy().verdict == "mixed"
    assert fleet.go_on(abort=True).verdict == "mixed"
    back.unlink()
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert fleet.on() == {"web1": "v1", "web2": "v1"}
    assert fleet.is_clean()


def test_a_restart_that_stays_sick_gets_no_requests_back(fleet: Fleet) -> None:
    fleet.document["app"] |= {"processes": {"kind": "command", "web": {"port": 3000, "start": "true"}}}
    fleet.document["probes"]["health"] = {"kind": "tests.engine.tiny:Well"}
    for name in fleet.names:
        fleet.link(name, NEW.id)
    fleet.fault("web1", "gate")
    result = fleet.deploy(Restart(gate=GATE, bake=Bake(first=0.0)))
    assert (result.verdict, result.exit_code) == ("mixed", 30)
    assert fleet.on() == {"web1": "v2 drained", "web2": "v2"}


def test_a_fleet_that_was_undone_with_its_tolerated_host_is_consistent(fleet: Fleet) -> None:
    for name in fleet.names:
        fleet.fault(name, "gate")
    result = fleet.deploy(Tiny(max_failures=1))
    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert fleet.on() == {"web1": "v1", "web2": "v1"}
    assert fleet.is_clean()


def test_a_rollback_is_finished_without_the_artifact_that_is_taken_back(fleet: Fleet) -> None:
    faults, damaged = [fleet.fault("web1", name) for name in ("gate", "back")], fleet.base / "damaged.tgz"
    mixed = fleet.deploy(Tiny(), replace(NEW, sha256="ab"))
    damaged.touch()
    ledger.write_artifact(fleet.store(), mixed.run, damaged)
    for fault in faults:
        fault.unlink()

    assert (mixed.verdict, fleet.go_on().verdict) == ("mixed", "rolled back")
    assert fleet.on() == {"web1": "v1", "web2": "v1"}
