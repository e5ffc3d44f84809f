"""Gates: probes and patience. A gate that does not pass says why, with what the host itself had to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tenacity import RetryCallState, RetryError, Retrying, retry_if_result

from dojo_deploy.errors import ConfigError, DojoError, GateFailedError, InterruptedRunError, TransportError
from dojo_deploy.events import Event, GateRead
from dojo_deploy.interfaces import Completed, Probe, Reading
from dojo_deploy.release import Placement

if TYPE_CHECKING:
    from dojo_deploy.command import Command
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Gate, Target

PROBE_WITHIN = 5.0
EVIDENCE_WITHIN = 15.0
LAST = 3  # readings of each probe that a failure shows


@runtime_checkable
class HostProbe(Probe, Protocol):
    """A probe that is one command on the target's host; it can travel with a host job, which saves its round trip."""

    def question(self, session: Session, target: Target, *, within: float) -> Command: ...
    def judge(self, done: Completed, *, within: float) -> Reading: ...


@dataclass(frozen=True)
class Passed:
    """`seconds` from the first question to the verdict; `readings` of all probes together.

    `proofs`: how the release was identified in the rounds that passed.
    """

    seconds: float
    readings: int
    proofs: tuple[str, ...] = ()


def hold(
    gate: Gate,
    session: Session,
    *,
    emit: Callable[[Event], None],
    step: str,
    first: Mapping[str, Reading] | None = None,
) -> Passed:
    """Asks all probes, round after round, until `in_a_row` rounds passed.

    A round passes when every probe does. Rounds that begin before `grace` count when they pass and not when they fail;
    a failed round always takes the count of passed ones back to 0. `first`: readings of the first round that are there
    already, by probe.

    Raises:
        GateFailedError: `in_a_row` failed rounds after `grace`, or no verdict `within`; carries its cause.
        ConfigError: a probe that the inventory does not have, or a gate without a target.
        InterruptedRunError: the run was cancelled meanwhile.
    """
    if gate.target is None:
        raise ConfigError(f"{step}: the gate is aimed at nothing")
    watch = _Watch(gate, gate.target, session, emit, step, _probes(gate, session, step), dict(first or {}))
    rounds = Retrying(
        sleep=lambda seconds: session.clock.sleep(seconds, session.cancelled),
        wait=watch.pause,
        stop=watch.is_over,
        retry=retry_if_result(lambda verdict: verdict is None),
    )
    try:
        verdict = rounds(watch.round)
    except RetryError:
        verdict = f"no {gate.in_a_row} passed rounds in a row within {gate.within:g} s"
    if verdict:
        raise GateFailedError(f"{step}: {verdict}", cause=watch.cause(verdict))
    return Passed(watch.elapsed(), watch.readings, tuple(watch.proofs))


def _probes(gate: Gate, session: Session, step: str) -> Mapping[str, Probe]:
    known = session.inventory.probes
    for name in gate.probes:
        if name not in known:
            hint = f"probes: {', '.join(known) or 'none'}"
            raise ConfigError(f"{step}: no probe {name!r}", where=session.inventory.path, hint=hint)
    return {name: known[name] for name in gate.probes}


@dataclass
class _Watch:
    """The counters of one gate."""

    gate: Gate
    target: Target
    session: Session
    emit: Callable[[Event], None]
    step: str
    probes: Mapping[str, Probe]
    taken: dict[str, Reading]
    readings: int = 0
    passes: int = 0
    failures: int = 0
    last: dict[str, list[str]] = field(default_factory=dict)
    proofs: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._started = self._asked = self.session.clock.monotonic()

    def round(self) -> str | None:
        """One round; an empty verdict passes, a text fails, None goes on."""
        self._interrupt()
        self._asked = self.session.clock.monotonic()
        counts = self._asked - self._started >= self.gate.grace
        answers = [self._read(name, probe, counts=counts) for name, probe in self.probes.items()]
        if all(answers):
            self.passes, self.failures = self.passes + 1, 0
        else:
            self.passes, self.failures = 0, self.failures + (1 if counts else 0)
            self.proofs.clear()
        if self.passes >= self.gate.in_a_row:
            return ""
        if self.failures >= (self.gate.failures or self.gate.in_a_row):
            return f"{self.failures} failed rounds in a row"
        self._interrupt()
        return None

    def pause(self, _: RetryCallState) -> float:
        return max(0.0, self.gate.every - (self.session.clock.monotonic() - self._asked))

    def is_over(self, state: RetryCallState) -> bool:
        """The next round could not even begin in time."""
        return self.elapsed() + self.pause(state) >= self.gate.within

    def elapsed(self) -> float:
        return self.session.clock.monotonic() - self._started

    def cause(self, verdict: str) -> str:
        """The verdict, the last readings of each probe, and what the host says of the processes."""
        lines = [f"{verdict}: {self.gate.preview()}, at {self.target.host}"]
        for name, readings in self.last.items():
            lines += [f"{name}: {reading}" for reading in readings]
        return "\n".join([*lines, *_evidence(self.session, self.target)])

    def _read(self, name: str, probe: Probe, *, counts: bool) -> bool:
        within = min(PROBE_WITHIN, self.gate.within - self.elapsed())
        if name in self.taken:
            reading = self.taken.pop(name)
        elif within <= 0:
            reading = Reading(False, f"not asked: {self.gate.within:g} s are over")
        else:
            reading = probe.check(self.session, self.target, within=within)
        self.readings += 1
        shown = f"{'ok' if reading.ok else 'FAILED'} after {self.elapsed():.1f} s: {reading.detail}"
        self.last[name] = [*self.last.get(name, []), shown][-LAST:]
        if reading.ok and reading.proof:
            self.proofs[reading.proof] = None
        host = self.target.host
        self.emit(
            GateRead(
                step=self.step,
                host=host,
                probe=name,
                ok=reading.ok,
                detail=reading.detail,
                proof=reading.proof,
                counts=counts or reading.ok,
            )
        )
        return reading.ok

    def _interrupt(self) -> None:
        if self.session.cancelled.is_set():
            raise InterruptedRunError(f"{self.step}: stopped while the gate was held")


def _evidence(session: Session, target: Target) -> list[str]:
    app, host = session.inventory.app, session.inventory.hosts.get(target.host)
    if app.processes.kind is None or host is None:
        return []
    place = Placement(host, target.slot, target.release, app)
    try:
        done = session.shell(target.host).run(app.processes.kind.evidence(place), within=EVIDENCE_WITHIN)
    except TransportError as exc:
        return [f"no evidence from {target.host}: {exc.message}"]
    except DojoError as exc:
        return [f"no evidence: {exc.message}"]
    return [f"evidence from {target.host}:", done.text or done.complaint]
