"""The runs that a store remembers, and how each of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dojo_deploy.engine import lock
from dojo_deploy.engine.lease import HELD, Entry
from dojo_deploy.engine.ledger import FINISHED, note_number, read_json
from dojo_deploy.interfaces import Store

LISTED = 50


def runs(store: Store, *, limit: int = LISTED) -> tuple[Mapping[str, Any], ...]:
    """The newest runs first: run, at, by, strategy, release, ref, verdict, reason, ended, seconds, open.

    `verdict` is the run's own, or, where it noted no end: `running` (it holds the lock), `open` (it ended without a
    word and can be resumed), `never began` (nothing was changed), `unknown`. `open`: resume or abort goes on with it.
    """
    keys: dict[str, list[str]] = {}
    for key in store.list("runs/"):
        keys.setdefault(key.split("/")[1], []).append(key)
    entry = lock.read(store)
    return tuple(_summary(store, run, keys[run], entry) for run in sorted(keys, reverse=True)[:limit])


def _summary(store: Store, run: str, keys: Iterable[str], entry: Entry | None) -> Mapping[str, Any]:
    header = read_json(store, f"runs/{run}/header.json")
    notes = sorted(filter(note_number, keys), key=note_number)
    end = read_json(store, notes[-1]) if notes else {}
    ended = end.get("kind") == FINISHED
    release = header.get("release", {})
    return {
        "run": run,
        "at": header.get("at", ""),
        "by": header.get("by", ""),
        "strategy": header.get("plan", {}).get("strategy", ""),
        "release": release.get("id", ""),
        "ref": release.get("ref", ""),
        "verdict": end.get("verdict", "") if ended else _standing(run, bool(notes), entry),
        "reason": end.get("reason", "") if ended else "",
        "ended": end.get("at", "") if ended else "",
        "seconds": _between(header.get("at", ""), end.get("at", "")) if ended else None,
        "open": bool(entry and entry.open == run),
    }


def _standing(run: str, noted: bool, entry: Entry | None) -> str:
    """Of a run that noted no end."""
    if entry and entry.run == run and entry.state == HELD and not entry.holder.is_dead():
        return "running"
    if entry is None or entry.open == run:
        return "open"
    return "unknown" if noted else "never began"


def _between(begin: str, end: str) -> float | None:
    """Seconds; None where a time is not recorded, or the clocks of two machines contradict each other."""
    try:
        first, last = (datetime.fromisoformat(at.replace("Z", "+00:00")) for at in (begin, end))
    except ValueError:
        return None
    seconds = (last - first).total_seconds()
    return round(seconds, 3) if seconds >= 0 else None
