"""Generated failures: whichever hosts fail at whichever step, the run ends as documented and no host is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dojo_deploy.engine.lease import Lease
from dojo_deploy.events import RunFinished, StepFinished
from tests.engine.rig import Fleet
from tests.engine.tiny import STEPS, Tiny

HOSTS = ("web1", "web2", "web3")
SAMPLE = 11  # every so many cases ordinarily, the others with -m soak


@dataclass(frozen=True)
class Case:
    """These hosts fail at this step."""

    failing: tuple[str, ...]
    step: str
    max_failures: int
    on_failure: str

    def __str__(self) -> str:
        return f"{'+'.join(self.failing)}-{self.step}-{self.max_failures}-{self.on_failure}"

    @property
    def tolerated(self) -> tuple[str, ...]:
        """Hosts that the run goes on without. One that cannot be drained cannot be left out either."""
        return () if self.step == "drain" else self.failing[: self.max_failures]

    @property
    def ends_at(self) -> str:
        """The host whose failure ends the run."""
        return next((host for host in self.failing if host not in self.tolerated), "")

    @property
    def verdict(self) -> str:
        if not self.ends_at:
            return "tolerated"
        return "halted" if self.on_failure == "halt" else "rolled back"

    def on(self) -> dict[str, str]:
        """What each host runs in the end, by the manual."""
        if self.verdict == "rolled back":
            return dict.fromkeys(HOSTS, "v1")
        ends = dict.fromkeys(HOSTS, "v2")
        ends |= dict.fromkeys(self.tolerated, "v1 drained")
        if self.ends_at:
            ends |= dict.fromkeys(HOSTS[HOSTS.index(self.ends_at) :], "v1")
            # Halted: the host stays as its failure left it.
            left = {"drain": "v1", "count": "v1 drained"}
            ends[self.ends_at] = left.get(self.step, "v2 drained")
        return ends


def _cases() -> list[Case]:
    groups = [(host,) for host in HOSTS] + [("web1", "web2"), ("web1", "web3"), ("web2", "web3"), HOSTS]
    return [
        Case(failing, step, budget, on_failure)
        for failing in groups
        for step in STEPS
        for budget in (0, 1, 2)
        for on_failure in ("rollback", "halt")
    ]


def _sampled() -> list[object]:
    """A part ordinarily: every step, budget, way and number of failures comes up in it."""
    return [
        pytest.param(case, id=str(case), marks=() if number % SAMPLE == 0 else pytest.mark.soak)
        for number, case in enumerate(_cases())
    ]


@pytest.mark.parametrize("case", _sampled())
def test_a_failure_ends_as_documented(quick: Path, case: Case) -> None:
    fleet = Fleet(quick / "fleet", 3)
    for host in case.failing:
        fleet.fault(host, case.step)
    result = fleet.deploy(Tiny(max_failures=case.max_failures, on_failure=case.on_failure))
    assert result.verdict == case.verdict
    assert result.exit_code == {"tolerated": 30, "halted": 30, "rolled back": 20}[case.verdict]
    assert fleet.on() == case.on()
    assert max(fleet.counts().values()) == 1
    is_over = case.verdict != "halted"
    assert (fleet.is_clean(), fleet.open_run()) == (is_over, "" if is_over else result.run)
    if not is_over and case.step in ("count", "switch"):
        # Its last job there closes a host, before its gate; until the end the store keeps others away.
        assert case.ends_at in fleet.are_open()
    assert isinstance(fleet.events[-1], RunFinished)
    assert bool(fleet.known().bad) == (case.verdict == "rolled back")


def test_the_sample_has_every_kind_of_case() -> None:
    sample = _cases()[::SAMPLE]
    assert {case.step for case in sample} == set(STEPS)
    kinds = {(len(case.failing), case.max_failures, case.on_failure) for case in sample}
    assert {(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 2)} <= {(hosts, budget) for hosts, budget, _ in kinds}
    assert {case.verdict for case in sample} == {"tolerated", "halted", "rolled back"}
    assert {on_failure for _, _, on_failure in kinds} == {"rollback", "halt"}


@pytest.mark.parametrize("max_failures", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=pytest.mark.soak if step == "count" else ()) for step in STEPS]
)
def test_hosts_that_fail_side_by_side_are_counted_together(quick: Path, step: str, max_failures: int) -> None:
    fleet = Fleet(quick / "fleet", 3)
    failing = ("web1", "web3")
    for host in failing:
        fleet.fault(host, step)
    result = fleet.deploy(Tiny(size=3, max_failures=max_failures))
    if max_failures >= len(failing) and step != "drain":
        assert (result.verdict, fleet.on()) == (
            "tolerated",
            {"web1": "v1 drained", "web2": "v2", "web3": "v1 drained"},
        )
    else:
        assert (result.verdict, fleet.on()) == ("rolled back", dict.fromkeys(HOSTS, "v1"))
    assert max(fleet.counts().values()) == 1
    assert fleet.is_clean()


@pytest.mark.parametrize("sick", [False, True])
def test_a_gates_first_reading_travels_with_the_job(quick: Path, sick: bool) -> None:
    fleet = Fleet(quick / "fleet", 1)
    # While a job is under way its script lies on the host.
    line = "cd ../..; ls .dojo/runs/*/*.sh >/dev/null 2>&1 && echo with >>asked || echo after >>asked; test ! -e sick"
    fleet.document["probes"]["well"] = {"kind": "command", "run": line}
    if sick:
        (fleet.base / "web1" / "sick").touch()
    result = fleet.deploy(Tiny())
    asked = (fleet.base / "web1" / "asked").read_text().split()
    if sick:
        assert asked[0] == "with" and result.verdict == "mixed", "the old release is as sick as the new one"
    else:
        assert (asked, result.verdict, fleet.on()) == (["with"], "done", {"web1": "v2"})


def test_a_bug_in_one_lane_stops_the_others_before_the_lock_is_given_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fleet.doors / "bug-drain-web1").touch()
    release, ended = Lease.release, []

    def released(lease: Lease, *, closed: bool) -> None:
        ended.append([event.step for event in fleet.events if isinstance(event, StepFinished)])
        release(lease, closed=closed)

    monkeypatch.setattr(Lease, "release", released)
    with pytest.raises(ZeroDivisionError):
        fleet.deploy(Tiny(size=2))
    told = [event.step for event in fleet.events if isinstance(event, StepFinished)]
    assert ended == [told], "a lane went on after the lock had been given back"
    assert "batch 1/web2/restore" not in told
    (fleet.doors / "bug-drain-web1").unlink()
    assert fleet.go_on(abort=True).verdict == "aborted"
    assert fleet.on() == {"web1": "v1", "web2": "v1"}
