"""The record, `releases.json`: which releases passed their gates, which are bad and why, and which slot serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dojo_deploy.engine.packed import kept, packed, unpacked
from dojo_deploy.errors import ConflictError, FencedError, StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.inventory import BLUE
from dojo_deploy.release import Known, Release, Standby

KEY = "releases.json"
KEPT = 200
TRIES = 20  # each time somebody else has got one step further


@dataclass(frozen=True)
class Record:
    """`releases` oldest first; `generation` is that of the lock under which it was last changed."""

    releases: tuple[Known, ...] = ()
    live: str = BLUE
    standby: Standby | None = None
    generation: int = 0
    others: dict[str, Any] = field(default_factory=dict)  # keys of a newer version, kept as they are
    etag: str = field(default="", compare=False)  # of the object it was read from; empty when there was none

    def find(self, release: str) -> Known | None:
        return next((known for known in self.releases if known.id == release), None)


def read_record(store: Store) -> Record:
    """The record; an empty one before the first run."""
    found = store.get(KEY)
    return replace(_decode(found.data), etag=found.etag) if found else Record()


def passed(
    store: Store,
    release: Release,
    *,
    run: str,
    at: str,
    whole: bool = True,
    migrated: bool = False,
    generation: int = 0,
    read: Record | None = None,
) -> None:
    """`release` went into service at `at` (UTC). Not `whole`: on some hosts only, so nothing goes back to it by itself.

    One that was bad before is so no more: its gates have passed since. `read`: the record as it was read before; where
    it is not so any more, it is read again. Raises FencedError when a run with a newer `generation` has written it.
    """

    def change(record: Record) -> Record:
        known = _taught(record.find(release.id) or Known(release.id), release, migrated=migrated)
        fresh = replace(
            known,
            commit=release.commit or known.commit,
            ref=release.ref or known.ref,
            sha256=release.sha256 or known.sha256,
            run=run,
            before=known.before if known.run == run else known.passed,
            passed=at if whole else known.passed,
            was_bad=known.was_bad if known.run == run else known.bad,
            bad="" if whole else known.bad,
        )
        return _with(record, fresh)

    _change(store, change, generation, read)


def has_migrated(store: Store, release: Release, *, generation: int = 0) -> None:
    """The database has seen migrations of `release`, however its run ended. Raises FencedError as `passed`."""

    def change(record: Record) -> Record:
        known = record.find(release.id) or Known(release.id, release.commit, release.ref)
        return _with(record, _taught(known, release, migrated=True), moved=False)

    _change(store, change, generation)


def set_live(store: Store, slot: str, standby: Standby | None, *, generation: int = 0) -> None:
    """`slot` serves, and `standby` is what is kept beside it. Raises FencedError as `passed`."""
    _change(store, lambda record: replace(record, live=slot, standby=standby), generation)


def set_retired(store: Store, slot: str, *, generation: int = 0) -> None:
    """`slot` is no standby any more. Raises FencedError as `passed`."""

    def change(record: Record) -> Record:
        return replace(record, standby=None) if record.standby and record.standby.slot == slot else record

    _change(store, change, generation)


def take_back(store: Store, run: str, *, generation: int = 0) -> None:
    """What `run` wrote of releases that passed, or that it left, is as it was before: it was undone after all."""

    def before(known: Known) -> Known:
        if known.bad.endswith(f" by run {run}"):
            return replace(known, bad=known.was_bad)
        if known.run != run:
            return known
        return replace(known, passed=known.before, bad=known.bad or known.was_bad)

    def change(record: Record) -> Record:
        return replace(record, releases=tuple(before(known) for known in record.releases))

    if any(before(known) != known for known in read_record(store).releases):
        _change(store, change, generation)


def mark_bad(store: Store, release: Release, why: str, *, unless_passed: bool = False, generation: int = 0) -> None:
    """`release` must not be chosen again. `unless_passed`: one that has served well before stays as it is."""

    def change(record: Record) -> Record:
        known = record.find(release.id) or Known(release.id, release.commit, release.ref)
        if unless_passed and known.passed:
            return record
        return _with(
            record, replace(known, bad=why, was_bad=known.was_bad if known.bad == why else known.bad), moved=False
        )

    _change(store, change, generation)


def _taught(known: Known, release: Release, *, migrated: bool) -> Known:
    """With what its artifact said of its migrations, where anybody read it."""
    known = replace(known, migrated=known.migrated or migrated)
    if not release.tool.run or not release.sha256:
        return known
    return replace(known, migrations=kept(release.migrations), tool=release.tool)


def _with(record: Record, known: Known, *, moved: bool = True) -> Record:
    if not moved and record.find(known.id):
        releases = tuple(known if old.id == known.id else old for old in record.releases)
    else:
        releases = (*(old for old in record.releases if old.id != known.id), known)
    return replace(record, releases=releases[-KEPT:])


def _change(store: Store, change: Callable[[Record], Record], generation: int, read: Record | None = None) -> None:
    for attempt in range(TRIES):
        record = read if read and not attempt else read_record(store)
        if generation and record.generation > generation:
            raise FencedError(f"the record was changed under generation {record.generation}, and this is {generation}")
        fresh = replace(change(record), generation=max(generation, record.generation))
        if record.etag and fresh == record:
            return
        try:
            store.put(KEY, _encode(fresh), etag=record.etag or None, absent=not record.etag)
        except ConflictError:
            if attempt + 1 == TRIES:
                raise
        else:
            return


def _encode(record: Record) -> bytes:
    releases, migrations = packed(record.releases)
    return json.dumps(
        {
            **record.others,
            "live": record.live,
            "standby": asdict(record.standby) if record.standby else None,
            "generation": record.generation,
            "releases": releases,
            "migrations": migrations,
        },
        indent=1,
    ).encode()


def _decode(data: bytes) -> Record:
    try:
        values = json.loads(data)
        releases = unpacked(values.pop("releases"), values.pop("migrations", ()))
        standby = values.pop("standby", None)
        kept = Standby(standby["slot"], standby["release"], standby["until"]) if standby else None
        return Record(releases, values.pop("live"), kept, values.pop("generation"), values)
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise StoreError(f"{KEY} in the store is not a record: {exc}", hint="was it edited by hand?") from exc
