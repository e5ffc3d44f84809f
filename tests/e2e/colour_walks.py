"""The orchestrator dies at one point of a blue-green run, somebody goes on: who is served then, and what stands by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy import app
from tests.e2e.colours import HASTE, OTHER, Colours
from tests.e2e.looking import variant
from tests.e2e.sessions import Ended, Order, run

QUICK_BACK = {key: HASTE[key] for key in ("gate.every", "gate.in_a_row", "settle")}


@dataclass(frozen=True)
class Point:
    """One death and what followed. `wrong` is empty when all is as it must be."""

    after: str | int
    kind: str
    killed: Ended
    wrong: str = ""

    @property
    def was_reached(self) -> bool:
        return self.killed.was_killed

    def __str__(self) -> str:
        return f"{self.after} ({self.kind}): {self.wrong or 'right'}"


def deployment(fleet: Colours, work: Path, verb: str, after: str | int, *, beside: bool = False) -> Point:
    """A deployment that dies; `beside`: while the other colour stands by, which it gives up."""
    ref = fleet.serving("v1", "v2") if beside else fleet.alone("v1", "v2")
    new = "v2" if ref == "v1" else "v1"
    live, before, kept = fleet.record.live, fleet.release(ref), fleet.record.standby
    order = Order("deploy", str(fleet.inventory), new, HASTE, after, strategy="blue-green")

    def stands() -> None:
        if verb == "resume":
            fleet.stand(OTHER[live], fleet.release(new), standby=before)
        else:
            fleet.stand(live, before, standby=kept.release if kept else "")

    def arrived() -> None:
        fleet.stand(OTHER[live], fleet.release(new), standby=before)

    return _died(fleet, work, order, verb, stands=stands, arrived=arrived)


def switch_back(fleet: Colours, work: Path, verb: str, after: str | int) -> Point:
    """A rollback to what stands by that dies."""
    ref = fleet.serving("v1", "v2")
    if not fleet.record.standby or next(one for one in app.releases(fleet.inventory) if one.ref != ref).bad:
        assert fleet.bring("v2" if ref == "v1" else "v1").result.verdict == "done"
    live, standby = fleet.record.live, fleet.record.standby
    assert standby
    before = next(iter(fleet.answers(1)))
    order = Order("rollback", str(fleet.inventory), "", QUICK_BACK, after)

    def arrived() -> None:
        fleet.stand(OTHER[live], standby.release, standby=before)

    def stands() -> None:
        if verb == "resume":
            arrived()
        else:
            fleet.stand(live, before, standby=standby.release)

    return _died(fleet, work, order, verb, stands=stands, arrived=arrived)


def retirement(fleet: Colours, work: Path, verb: str, after: str | int) -> Point:
    """A retirement that dies: aborted, the obligation is still there, and is fulfilled by the next one."""
    ref = fleet.serving("v1", "v2")
    if not fleet.record.standby:
        assert fleet.bring("v2" if ref == "v1" else "v1").result.verdict == "done"
    live = fleet.record.live
    before = next(iter(fleet.answers(1)))

    def arrived() -> None:
        fleet.stand(live, before)

    def stands() -> None:
        if verb == "abort":
            assert fleet.record.standby, "the obligation is forgotten"
            assert app.retire(fleet.inventory, now=True).verdict == "done"
        arrived()

    return _died(fleet, work, Order("retire", str(fleet.inventory), after=after), verb, stands=stands, arrived=arrived)


def _died(
    fleet: Colours,
    work: Path,
    order: Order,
    verb: str,
    *,
    stands: Callable[[], None],
    arrived: Callable[[], None],
) -> Point:
    """`stands` is held to be so when somebody had to go on, `arrived` when the run had come to its end before."""
    live = fleet.record.live
    killed = run(order, work)
    kind = (killed.kinds() or ["nothing"])[-1]
    try:
        assert killed.was_killed or killed.status == 0, (killed.status, killed.message)
        users = fleet.answers(20)
        assert len(users) == 1, f"users are on {dict(users)}"
        was_open = _is_open(fleet)
        gone_on = run(Order(verb, _elsewhere(fleet, work / f"{order.after}")), work)
        if was_open:
            wanted = ("done" if verb == "resume" else "aborted", 0)
            assert (gone_on.verdict, gone_on.status) == wanted, gone_on.message
            stands()
        else:
            assert (gone_on.verdict, gone_on.status) == ("nothing to do", 0), gone_on.message
            arrived() if "RunFinished" in killed.kinds() else _untouched(fleet, live, users)
        again = run(Order(verb, _elsewhere(fleet, work / f"{order.after}-again")), work)
        assert again.verdict == "nothing to do", f"the second {verb}: {again.verdict} {again.message}"
    except AssertionError as exc:
        return Point(order.after, kind, killed, str(exc) or "?")
    return Point(order.after, kind, killed)


def _is_open(fleet: Colours) -> bool:
    entry = app.holder(fleet.inventory)
    return bool(entry and entry.open)


def _untouched(fleet: Colours, live: str, users: object) -> None:
    assert fleet.record.live == live, "a run that never began changed the record"
    assert fleet.answers(20) == users


def _elsewhere(fleet: Colours, path: Path) -> str:
    """The same fleet, from a folder that has heard of no run."""
    return str(variant(fleet, path / "inventories" / "sandbox.yml", lambda _: None).inventory)
