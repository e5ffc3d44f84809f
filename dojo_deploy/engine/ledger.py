"""What the store remembers of runs: enough for any machine to resume, undo or list them."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from dojo_deploy.engine.journal import redacted
from dojo_deploy.engine.packed import migration, packed, tool, unpacked
from dojo_deploy.engine.record import (
    Record,
    has_migrated,
    mark_bad,
    passed,
    read_record,
    set_live,
    set_retired,
    take_back,
)
from dojo_deploy.errors import ConflictError, FencedError, RefusedError, StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.release import HostSeen, Observed, Platform, Release, Standby
from dojo_deploy.secrets import Redactor

__all__ = [
    "Header", "Notes", "Record", "began", "forget", "has_migrated", "mark_bad", "new_run_id", "note_number", "notes",
    "observed_as_dict", "observed_from_dict", "passed", "prune", "read_artifact", "read_header", "read_json",
    "read_record", "release_as_dict", "release_from_dict", "set_live", "set_retired", "take_back", "was_pruned",
    "write_artifact", "write_header",
]  # fmt: skip

SHOWN = ("plan", "by", "options")  # of a header: words for people; by the rest a run goes on, unchanged
NAMES = ("step", "host", "phase", "verdict", "at")  # of a note: by these too
FINISHED = "finished"  # the kind of a run's last note, with its verdict
PRUNED = "pruned.json"
REMEMBERED = 1000
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Header:
    """Everything that a run was planned from and what came out; the documents are those of config.py."""

    run: str
    scope: str
    strategy: Mapping[str, Any]
    inventory: Mapping[str, Any]
    observed: Mapping[str, Any]
    release: Mapping[str, Any]
    plan: Mapping[str, Any]
    plan_hash: str
    tool: str
    at: str
    by: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Notes:
    """Writes the controller's intents and outcomes: numbered, each only where none is, so two sessions cannot both.

    `generation` is the lease's. A number that is taken by a newer generation is a FencedError; one that an older
    session wrote, though it had been taken over already, is stepped over.
    """

    store: Store
    generation: int = 0
    redact: Redactor = field(default_factory=Redactor)
    fresh: bool = False  # of a run that nobody has noted anything of yet
    _next: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def note(self, run: str, kind: str, data: Mapping[str, object]) -> None:
        """Durable before it returns. Raises FencedError, StoreError."""
        said = {key: value if key in NAMES else redacted(value, self.redact) for key, value in data.items()}
        body = {**said, "kind": kind, "generation": self.generation}
        while True:
            number = self._number(run)
            try:
                self.store.put(_note_key(run, number), json.dumps(body).encode(), absent=True)
            except ConflictError as exc:
                if read_json(self.store, _note_key(run, number)).get("generation", 0) > self.generation:
                    raise FencedError(f"another session goes on with run {run}") from exc
            else:
                return

    def _number(self, run: str) -> int:
        with self._lock:
            if run not in self._next:
                known = () if self.fresh else _note_keys(self.store, run)
                self._next[run] = max((note_number(key) for key in known), default=0)
            self._next[run] += 1
            return self._next[run]


def new_run_id(seconds: float) -> str:
    """An id that sorts by time (UTC), made unique by chance: `20261123T144455-a1b2c3`."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}-{secrets.token_hex(3)}"


def write_header(store: Store, header: Header, redact: Redactor | None = None) -> None:
    """Raises ConflictError for a run id that exists."""
    body = {name: redacted(value, (redact or str) if name in SHOWN else str) for name, value in vars(header).items()}
    store.put(f"runs/{header.run}/header.json", json.dumps(body).encode(), absent=True)


def read_header(store: Store, run: str) -> Header:
    """Raises RefusedError when the store has no such run."""
    found = find_header(store, run)
    if found is None:
        raise RefusedError(f"the store knows no run {run}", hint="invoke history   lists those it knows")
    return found


def find_header(store: Store, run: str) -> Header | None:
    """None when the run never began."""
    values = read_json(store, f"runs/{run}/header.json")
    return _built(Header, values) if values else None


def began(store: Store, header: Header) -> bool:
    """Whether a run that is open can have changed anything: not before its artifact, if it brings one, was there."""
    if not header.options.get("artifact"):
        return True
    keys = store.list(f"runs/{header.run}/")
    return f"runs/{header.run}/artifact" in keys or any(note_number(key) for key in keys)


def write_artifact(store: Store, run: str, path: Path) -> None:
    store.upload(f"runs/{run}/artifact", path)


def forget(store: Store, run: str) -> None:
    """Removes the header and the artifact of a run that never began."""
    for name in ("artifact", "header.json"):
        store.delete(f"runs/{run}/{name}")


def read_artifact(store: Store, run: str, path: Path, *, sha256: str) -> bool:
    """The run's artifact into `path`; False when it has none. Raises RefusedError when it is not the one that ran."""
    if not store.download(f"runs/{run}/artifact", path):
        return False
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    if found.hexdigest() != sha256:
        path.unlink()
        raise RefusedError(f"the artifact of run {run} in the store is damaged", hint="invoke abort undoes the run")
    return True


def notes(store: Store, run: str) -> list[Mapping[str, Any]]:
    """What sessions of `run` noted, in order: `kind`, `generation` and the note's own keys."""
    return [read_json(store, key) for key in _note_keys(store, run)]


def note_number(key: str) -> int:
    """Of a note's key; 0 for any other."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdigit() else 0


def read_json(store: Store, key: str) -> dict[str, Any]:
    """The object; empty when there is none. Raises StoreError when it is no JSON."""
    found = store.get(key)
    try:
        return dict(json.loads(found.data)) if found else {}
    except ValueError as exc:
        raise StoreError(f"{key} in the store cannot be read: {exc}") from exc


def prune(store: Store, *, keep: int, artifacts: int, open_run: str = "") -> tuple[str, ...]:
    """Removes all but the `keep` newest runs and the `artifacts` newest artifacts; nothing of `open_run`.

    Returns the ids of the runs that are gone.
    """
    keys = store.list("runs/")
    runs = [run for run in sorted({key.split("/")[1] for key in keys}, reverse=True) if run != open_run]
    gone, light = runs[keep:], runs[artifacts:]
    if gone:
        known = [*read_json(store, PRUNED).get("runs", ()), *reversed(gone)]
        store.put(PRUNED, json.dumps({"runs": list(dict.fromkeys(known))[-REMEMBERED:]}).encode())
    for key in keys:
        run, _, name = key.removeprefix("runs/").partition("/")
        if run in gone or (run in light and name == "artifact"):
            store.delete(key)
    return tuple(gone)


def was_pruned(store: Store, run: str) -> bool:
    """Whether the run had ended so long ago that only its id is remembered."""
    return run in read_json(store, PRUNED).get("runs", ())


def observed_as_dict(seen: Observed) -> dict[str, Any]:
    known, migrations = packed(seen.known)
    return {**asdict(replace(seen, known=())), "known": known, "migrations": migrations}


def observed_from_dict(data: Mapping[str, Any]) -> Observed:
    hosts = {
        name: _built(
            HostSeen,
            {
                **_tupled(host),
                "running": {key: tuple(found) for key, found in host["running"].items()},
                "platform": _built(Platform, host["platform"]),
            },
        )
        for name, host in data["hosts"].items()
    }
    known = unpacked(data["known"], data.get("migrations", ()))
    standby = _built(Standby, data["standby"]) if data.get("standby") else None
    serving = _tupled(data.get("serving", {}))
    return _built(Observed, {**_tupled(data), "hosts": hosts, "known": known, "standby": standby, "serving": serving})


def release_as_dict(release: Release) -> dict[str, Any]:
    return asdict(release)


def release_from_dict(data: Mapping[str, Any]) -> Release:
    migrations = tuple(map(migration, data.get("migrations", ())))
    platform = _built(Platform, data["platform"])
    return _built(Release, {**data, "platform": platform, "migrations": migrations, "tool": tool(data.get("tool"))})


def _note_key(run: str, number: int) -> str:
    return f"runs/{run}/{number:06d}.json"


def _note_keys(store: Store, run: str) -> tuple[str, ...]:
    return tuple(key for key in store.list(f"runs/{run}/") if note_number(key))


def _tupled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _built(kind: type[Value], values: Mapping[str, Any]) -> Value:
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in values.items() if key in names})
