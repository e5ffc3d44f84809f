"""The orchestrator dies at one point of a run, somebody goes on from another folder: what must be so afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.crash import Ground
from tests.e2e.sessions import Ended


@dataclass(frozen=True)
class Point:
    """One death and what followed. `wrong` is empty when all is as it must be."""

    after: str | int
    kind: str
    killed: Ended
    gone_on: Ended
    wrong: tuple[str, ...]

    @property
    def was_reached(self) -> bool:
        return self.killed.was_killed

    def __str__(self) -> str:
        return f"{self.after} ({self.kind}): {'; '.join(self.wrong) or 'right'}"


def die_and_go_on(ground: Ground, verb: str, *, before: str, ref: str, after: str | int) -> Point:
    """`ref` over `before`, killed right after the record `after`, then `verb`. The fleet must be whole either way."""
    ground.forget(ref)
    ground.count_anew()
    overrides = {"prove": "off", "gate.grace": "1s"} if ref == "v3" else {}
    killed = ground.deploy(ref, after=after, overrides=overrides)
    was_open = bool(ground.open_run())
    gone_on = ground.go_on(verb)
    again = ground.go_on(verb)
    wrong = _wrong_end(verb, ref, gone_on, was_open=was_open)
    if again.status != 0 or again.verdict != "nothing to do":
        wrong.append(f"the second {verb} ended {again.status}: {again.verdict} {again.message}")
    arrived = ref != "v3" and ((verb == "resume" and was_open) or not killed.was_killed)
    if not killed.was_killed and killed.status != (20 if ref == "v3" else 0):
        wrong.append(f"the run itself ended {killed.status}: {killed.verdict} {killed.message}")
    there = ground.release(ref if arrived else before)
    wrong += ground.troubles(there)
    wrong += _wrong_record(ground, ref, arrived=arrived)
    counted = ground.counted()
    exact = set(counted) if arrived else set()
    for name, times in counted.items():
        if times > 1 or (name in exact and times != 1):
            wrong.append(f"{name} counted {times}")
    kind = (killed.kinds() or ["nothing"])[-1]
    return Point(after, kind, killed, gone_on, tuple(wrong))


def _wrong_end(verb: str, ref: str, ended: Ended, *, was_open: bool) -> list[str]:
    if not was_open:
        right = {("nothing to do", 0)}
    elif verb == "abort":
        right = {("aborted", 0)}
    else:
        right = {("rolled back", 20)} if ref == "v3" else {("done", 0)}
    if (ended.verdict, ended.status) in right:
        return []
    return [f"{verb} ended {ended.status}: {ended.verdict} {ended.message}"]


def _wrong_record(ground: Ground, ref: str, *, arrived: bool) -> list[str]:
    known = next((known for known in ground.record().releases if known.ref == ref), None)
    if ref == "v3":
        return ["the broken release counts as good"] if known and known.passed else []
    if arrived and not (known and known.passed and not known.bad):
        return [f"the record says {known}"]
    return []
