"""A run told again, later and on any machine: from the journals of its sessions, and where one is not to be had from
what the store noted.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dojo_deploy.engine import journal, ledger
from dojo_deploy.errors import DojoError, RefusedError
from dojo_deploy.events import Event, PlanMade, RunFinished, RunStarted, StepFinished, StepStarted, UndoStarted, Warned
from dojo_deploy.interfaces import Store

MOST = 8 * 1024 * 1024  # bytes of a packed journal that the store is given
UNKNOWN = "steps on hosts, their gates and their output, the requests and the census are not in the store"


@dataclass(frozen=True)
class Retold:
    """Events, session after session, and in sentences what of the run is not known here."""

    events: tuple[Event, ...]
    missing: tuple[str, ...] = ()


def keep(store: Store, run: str, generation: int, path: Path) -> bool:
    """Gives the store this session's journal, for reports made elsewhere; False when that did not succeed."""
    try:
        packed = gzip.compress(path.read_bytes(), 3)
        if len(packed) > MOST:
            return False
        store.put(f"{_prefix(run)}{generation}.jsonl.gz", packed)
    except (OSError, DojoError):
        return False
    return True


def retell(store: Store, run: str, path: Path) -> Retold:
    """The run from the journal at `path`, where there is one, and from the store.

    Raises RefusedError for a run that neither knows.
    """
    sessions, missing = _local(path)
    try:
        header = ledger.read_header(store, run)
        notes = ledger.notes(store, run)
        for key in store.list(_prefix(run)):
            missing += _add(sessions, store, key)
    except RefusedError:
        if not sessions:
            raise
        missing.append("The store does not know this run any more: sessions of other machines are not here.")
    except DojoError as exc:
        if not sessions:
            raise
        missing.append(f"The store could not be asked ({exc.message}): sessions of other machines are not here.")
    else:
        missing += _fill(sessions, header, notes)
    ordered = sorted(sessions.items(), key=lambda item: (item[0], item[1][0].at))
    return Retold(tuple(event for _, events in ordered for event in events), tuple(missing))


def _prefix(run: str) -> str:
    return f"runs/{run}/journal-"


def _local(path: Path) -> tuple[dict[int, list[Event]], list[str]]:
    if not path.exists():
        return {}, []
    try:
        return _sessions(journal.read(path)), []
    except RefusedError as exc:
        return {}, [f"{exc.message}."]


def _add(sessions: dict[int, list[Event]], store: Store, key: str) -> list[str]:
    """Adds the sessions of one journal in the store; the longer account of a session wins."""
    found = store.get(key)
    try:
        events = journal.decode(gzip.decompress(found.data), key) if found else []
    except (OSError, EOFError, zlib.error, RefusedError) as exc:
        return [f"{key} in the store cannot be read: {exc}."]
    for generation, told in _sessions(events).items():
        if len(told) > len(sessions.get(generation, ())):
            sessions[generation] = told
    return []


def _sessions(events: Iterable[Event]) -> dict[int, list[Event]]:
    """By the generation of the lock; an event's `seq` begins at 1 again in each session."""
    parts: list[list[Event]] = []
    last = 0
    for event in events:
        if not parts or event.seq <= last:
            parts.append([])
        parts[-1].append(event)
        last = event.seq
    named = ((next((event.generation for event in part if isinstance(event, RunStarted)), 0), part) for part in parts)
    return dict(named)


def _fill(sessions: dict[int, list[Event]], header: ledger.Header, notes: list[Mapping[str, Any]]) -> list[str]:
    """Sessions of which only the store's notes are known; what that leaves out, in sentences."""
    missing = []
    for generation in dict.fromkeys(int(note.get("generation", 0)) for note in notes):
        if generation not in sessions:
            mine = [note for note in notes if note.get("generation", 0) == generation]
            sessions[generation] = _noted(header, generation, mine, resumed=bool(sessions))
            times = "" if any(note.get("at") for note in mine) else "; no times are recorded"
            missing.append(f"Session {generation} left no journal here or in the store: {UNKNOWN}{times}.")
    if not sessions:
        sessions[0] = _noted(header, 0, [], resumed=False)
        missing.append(f"No session left a journal here or in the store: {UNKNOWN}.")
    return missing


def _noted(header: ledger.Header, generation: int, notes: Iterable[Mapping[str, Any]], *, resumed: bool) -> list[Event]:
    """One session's events as far as header and notes tell them."""
    told: list[tuple[str, Event]] = []
    for note in notes:
        at = str(note.get("at", "")) or header.at
        told += [(at, event) for event in _events(header.run, note)]
    begin = told[0][0] if told and resumed else header.at
    started = RunStarted(
        run=header.run,
        scope=header.scope,
        strategy=str(header.plan.get("strategy", "")),
        release=str(header.release.get("id", "")),
        by=header.by,
        generation=generation,
        resumed=resumed,
        refs={str(header.release.get("id", "")): str(header.release.get("ref", ""))},
    )
    plan = PlanMade(plan=header.plan, hash=header.plan_hash)
    every = [(begin, started), (begin, plan), *told]
    return [replace(event, seq=number, at=at) for number, (at, event) in enumerate(every, 1)]


def _events(run: str, note: Mapping[str, Any]) -> list[Event]:
    kind, step = note["kind"], str(note.get("step", ""))
    host, name = [*step.split("/"), "", ""][1], step.rpartition("/")[2].removesuffix("~undo")
    if kind == "intent":
        return [StepStarted(step=step, host=host, name=name)]
    if kind == "outcome":
        return [StepFinished(step=step, host=host, name=name, outcome="done")]
    if kind == "undo":
        return [UndoStarted(reason=str(note.get("reason", "")))]
    if kind == "tolerated":
        return [Warned(text=f"{note.get('host', '')} failed within max_failures and is left out")]
    if kind == ledger.FINISHED:
        return [
            RunFinished(
                run=run,
                verdict=str(note.get("verdict", "")),
                exit_code=int(note.get("exit_code", -1)),
                seconds=float(note.get("seconds", 0.0)),
                reason=str(note.get("reason", "")),
            )
        ]
    return []
