"""The windows that the store remembers: at most one that is not over, and those before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from dojo_deploy.errors import ConflictError, RefusedError, StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.windows.window import OVER, Decision, Window

KEY = "maintenance.json"
KEPT = 50
TRIES = 20


def read(store: Store) -> tuple[Window, ...]:
    """Oldest first. Raises StoreError."""
    found = store.get(KEY)
    return _decoded(found.data) if found else ()


def current(store: Store) -> Window | None:
    """The one that is not over."""
    return next((window for window in read(store) if window.state != OVER), None)


def unfinished(store: Store) -> Window:
    """The same. Raises RefusedError when there is none."""
    window = current(store)
    if window is None:
        raise RefusedError("no maintenance window is scheduled or open", hint="invoke maintenance.schedule --at …")
    return window


def find(store: Store, window: str) -> Window:
    """Raises RefusedError when there is no such one."""
    found = next((each for each in read(store) if each.id == window), None)
    if found is None:
        raise RefusedError(f"no maintenance window {window}", hint="invoke maintenance.status")
    return found


def add(store: Store, window: Window) -> Window:
    """Raises RefusedError while another is not over."""

    def added(windows: tuple[Window, ...]) -> tuple[Window, ...]:
        open_ = next((each for each in windows if each.state != OVER), None)
        if open_:
            raise RefusedError(
                f"{open_.title!r} ({open_.span}) is {open_.state}",
                hint="invoke maintenance.abort   cancels it"
                if open_.state == "scheduled"
                else "finish or abort it first",
            )
        return (*windows, window)[-KEPT:]

    _change(store, added)
    return window


def change(store: Store, window: str, by: Callable[[Window], Window]) -> Window:
    """The window as it is now. Raises RefusedError when there is no such one."""
    find(store, window)
    windows = _change(store, lambda all_: tuple(by(each) if each.id == window else each for each in all_))
    return next(each for each in windows if each.id == window)


def _change(store: Store, by: Callable[[tuple[Window, ...]], tuple[Window, ...]]) -> tuple[Window, ...]:
    for attempt in range(TRIES):
        found = store.get(KEY)
        windows = _decoded(found.data) if found else ()
        fresh = by(windows)
        if fresh == windows:
            return windows
        try:
            store.put(KEY, _encoded(fresh), etag=found.etag if found else None, absent=found is None)
        except ConflictError:
            if attempt + 1 == TRIES:
                raise
        else:
            return fresh
    raise AssertionError("the last try returns or raises")


def _encoded(windows: tuple[Window, ...]) -> bytes:
    return json.dumps({"windows": [asdict(window) for window in windows]}, indent=1, ensure_ascii=False).encode()


def _decoded(data: bytes) -> tuple[Window, ...]:
    try:
        return tuple(
            Window(**{**values, "course": tuple(Decision(**one) for one in values["course"])})
            for values in json.loads(data)["windows"]
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"{KEY} in the store cannot be read: {exc}", hint="was it edited by hand?") from exc
