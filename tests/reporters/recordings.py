"""Runs as the engine tells them: a good one, one that fails its gate and is undone, one over fifty hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from random import Random

from dojo_deploy.events import (
    CensusTaken,
    Event,
    GateFailed,
    GatePassed,
    GateRead,
    LoadMeasured,
    OutputWritten,
    PlanMade,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepStarted,
    UndoStarted,
    Warned,
)

OLD, NEW = "20261120-9be1f04", "20261123-4f3a9c1"
ROLL = ("prove", "end proof", "drain", "switch", "restore", "bake")
BEGAN = datetime(2026, 11, 23, 14, 48, 12, tzinfo=timezone.utc)
Timed = tuple[float, Event]


@dataclass
class Story:
    """Events with the second at which each happens."""

    events: list[Timed] = field(default_factory=list)
    second: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)

    def tell(self, event: Event, after: float = 0.0) -> None:
        self.second += after
        at = (BEGAN + timedelta(seconds=self.second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.events.append((self.second, replace(event, seq=len(self.events) + 1, at=at)))

    def step(self, stage: str, host: str, name: str, took: float, *lines: str, outcome: str = "done") -> None:
        step = f"{stage}/{host}/{name}"
        self.tell(StepStarted(step=step, host=host, name=name))
        for line in lines:
            self.tell(OutputWritten(step=step, host=host, line=line), took / (len(lines) + 1))
        self.tell(StepFinished(step=step, host=host, name=name, outcome=outcome, seconds=took), took / (len(lines) + 1))

    def gate(
        self, step: str, host: str, readings: Sequence[Mapping[str, tuple[bool, str]]], every: float = 1.0
    ) -> None:
        for number, reading in enumerate(readings):
            for probe, (ok, detail) in reading.items():
                event = GateRead(
                    step=step,
                    host=host,
                    probe=probe,
                    ok=ok,
                    detail=detail,
                    proof=PROOFS[probe] if ok else "",
                    counts=number > 1 or ok,
                )
                self.tell(event, every if probe == "release" else 0.02)

    def start(self, stage: str, *hosts: str) -> None:
        self.stage_seconds[stage] = -self.second
        self.tell(StageStarted(stage=stage, hosts=hosts))

    def end(self, stage: str, *, ok: bool = True) -> None:
        took = self.stage_seconds[stage] = round(self.stage_seconds[stage] + self.second, 3)
        self.tell(StageFinished(stage=stage, seconds=took, ok=ok))


PROOFS = {"release": "process", "health": "health"}
GOOD = {"release": (True, NEW), "health": (True, "200 12 ms")}
EARLY = {"release": (False, f"still {OLD}"), "health": (False, "connection refused")}
BAD = {"release": (True, NEW), "health": (False, "500 8 ms: database: no such table")}


def good() -> list[Timed]:
    """Three hosts, two batches."""
    story = _begin(("web1",), ("web2", "web3"))
    _prepare(story, "web1", "web2", "web3")
    _batch(story, "batch 1", "web1")
    _batch(story, "batch 2", "web2", "web3")
    story.start("finish", "web1", "web2", "web3")
    for host in ("web1", "web2", "web3"):
        story.step("finish", host, "prune", 0.2)
    story.end("finish")
    story.tell(
        LoadMeasured(
            requests=18214,
            failures=0,
            p50_ms=3.2,
            p95_ms=12.4,
            seconds=story.second,
            answers={OLD: (0.0, 14.2, 9120), NEW: (9.8, 31.0, 9094)},
        )
    )
    story.tell(CensusTaken(rows=_rows(3, NEW), verdict="consistent", through_balancer={NEW: 100}), 0.4)
    _finish(story, "done", 0)
    return story.events


def failing() -> list[Timed]:
    """The second batch fails its gate; everything is undone."""
    story = _begin(("web1",), ("web2", "web3"))
    _prepare(story, "web1", "web2", "web3")
    _batch(story, "batch 1", "web1")
    story.start("batch 2", "web2", "web3")
    for host in ("web2", "web3"):
        story.step("batch 2", host, "drain", 0.6, "server 10.0.0.2:3000 down; reload; in effect")
        story.step("batch 2", host, "switch", 1.2, "[PM2] Applying action reloadProcessId on app [shop]", "[PM2] ✓")
    story.gate("batch 2/web2/switch", "web2", [EARLY, EARLY, BAD, BAD, BAD])
    cause = (
        f"health of blue via host, 3 readings in a row:\n  500 8 ms: database: no such table\n  500 7 ms: database: no "
        f"such table\n  500 8 ms: database: no such table\n\nweb2: last lines of shop-web\n"
        f'  2026-11-23T14:48:31 release {NEW} listens on 3000\n  2026-11-23T14:48:32 error: relation "rarity" does not '
        f"exist\n\npm2: shop-web  online  restarts 0  pid 41123  cwd releases/{NEW}"
    )
    story.tell(GateFailed(step="batch 2/web2/switch", host="web2", seconds=5.2, cause=cause))
    story.end("batch 2", ok=False)
    story.tell(UndoStarted(reason="batch 2/web2/switch: health answered 500 three times in a row"))
    for stage, host in (("batch 2", "web2"), ("batch 2", "web3"), ("batch 1", "web1")):
        for name, undo in (("switch", "switch back"), ("drain", "restore")):
            step = f"{stage}/{host}/{name}~undo"
            story.tell(StepStarted(step=step, host=host, name=undo))
            story.tell(StepFinished(step=step, host=host, name=undo, outcome="done", seconds=1.1), 1.1)
    story.tell(Warned(text="slack: no answer within 5 s; the run goes on"))
    story.tell(
        LoadMeasured(
            requests=14102,
            failures=3,
            p50_ms=3.0,
            p95_ms=14.8,
            seconds=story.second,
            answers={OLD: (0.0, 35.1, 12120), NEW: (9.8, 30.2, 1979)},
            errors={"status 502": 2, "closed before an answer": 1},
        )
    )
    story.tell(CensusTaken(rows=_rows(3, OLD), verdict="consistent", through_balancer={OLD: 100}), 0.4)
    _finish(story, "rolled back", 20, "batch 2/web2/switch: health answered 500 three times in a row")
    return story.events


def fifty(hosts: int = 50) -> list[Timed]:
    """Many hosts, of which one fails within max_failures and stays out."""
    names = tuple(f"web{number:02}.example.org" for number in range(1, hosts + 1))
    story = _begin(names[:1], names[1:])
    story.start("prepare", *names)
    random = Random(7)
    for name in names:
        story.tell(StepStarted(step=f"prepare/{name}/stage", host=name, name="stage"))
    for name in sorted(names, key=lambda _: random.random()):
        took = random.uniform(0.02, 0.15)
        story.tell(
            StepFinished(step=f"prepare/{name}/stage", host=name, name="stage", outcome="done", seconds=2.0), took
        )
    story.end("prepare")
    story.start("batch 2", *names[1:])
    for step in ROLL:
        for name in names[1:]:
            if name != names[30] or step in ROLL[:4]:
                story.tell(StepStarted(step=f"batch 2/{name}/{step}", host=name, name=step))
        for name in sorted(names[1:], key=lambda _: random.random()):
            failed = name == names[30]
            if failed and step not in ROLL[:4]:
                continue
            outcome = "failed" if failed and step == "switch" else "done"
            detail = "pm2: script not found: server.js" if outcome == "failed" else ""
            event = StepFinished(
                step=f"batch 2/{name}/{step}", host=name, name=step, outcome=outcome, seconds=1.3, detail=detail
            )
            story.tell(event, random.uniform(0.01, 0.06))
            if outcome == "failed":
                story.tell(Warned(text=f"{name} failed within max_failures and is left out: batch 2/{name}/switch"))
    story.end("batch 2")
    rows = _rows(0, NEW) | {name: _row(NEW) for name in names}
    rows[names[30]] = _row(OLD) | {"balancer": "drained", "verdict": "left out"}
    story.tell(CensusTaken(rows=rows, verdict="mixed", through_balancer={NEW: 100}), 0.4)
    _finish(story, "mixed", 30, f"{names[30]} was undone and stays out of the balancer")
    return story.events


STORIES = {"good": good, "failing": failing, "fifty": fifty}


def _begin(*batches: tuple[str, ...]) -> Story:
    story = Story()
    every = tuple(host for batch in batches for host in batch)
    stages = [("prepare", every, ("stage",)), ("migrate", every[:1], ("migrate",))]
    stages += [(f"batch {number}", batch, ROLL) for number, batch in enumerate(batches, 1)]
    stages += [("finish", every, ("prune",))]
    plan = {
        "notes": ["one host of three is out of the balancer at a time"],
        "stages": [{"name": name, "lanes": list(_lanes(hosts, steps))} for name, hosts, steps in stages],
    }
    run = "20261123-144812-7f3a"
    story.tell(RunStarted(run=run, scope="shop-production", strategy="rolling", release=NEW, by="ana@laptop"))
    story.tell(PlanMade(plan=plan, hash="5d41402abc4b2a76b9719d911017c592"), 0.2)
    return story


def _lanes(hosts: Sequence[str], steps: Sequence[str]) -> Iterator[dict[str, object]]:
    gate = "release + health of blue via host, 3 in a row within 60 s"
    for host in hosts:
        yield {"host": host, "steps": [{"name": name, "gate": gate if name == "switch" else None} for name in steps]}


def _prepare(story: Story, *hosts: str) -> None:
    story.start("prepare", *hosts)
    for host in hosts:
        story.step("prepare", host, "stage", 0.7, "unpacked 1,204 files")
    story.end("prepare")
    story.start("migrate", hosts[0])
    story.step("migrate", hosts[0], "migrate", 1.4, "Applying migration `0002_rarity`", "All migrations applied.")
    story.end("migrate")


def _batch(story: Story, stage: str, *hosts: str) -> None:
    story.start(stage, *hosts)
    for host in hosts:
        for name in ROLL:
            story.step(stage, host, name, 0.5, f"{name}: ok")
            if name == "switch":
                story.gate(f"{stage}/{host}/switch", host, [EARLY, GOOD, GOOD, GOOD])
                passed = GatePassed(
                    step=f"{stage}/{host}/switch", host=host, seconds=4.1, readings=8, proofs=tuple(PROOFS.values())
                )
                story.tell(passed)
    story.end(stage)


def _row(release: str) -> dict[str, str]:
    return {"current": release, "running": release, "health": release, "balancer": "serving", "verdict": "consistent"}


def _rows(hosts: int, release: str) -> dict[str, Mapping[str, str]]:
    return {f"web{number}": _row(release) for number in range(1, hosts + 1)}


def _finish(story: Story, verdict: str, code: int, reason: str = "") -> None:
    took = {name: value for name, value in story.stage_seconds.items() if value > 0}
    story.tell(
        RunFinished(
            run="20261123-144812-7f3a",
            verdict=verdict,
            exit_code=code,
            seconds=round(story.second, 3),
            reason=reason,
            stage_seconds=took,
        )
    )
