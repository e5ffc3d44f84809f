"""Files that appear whole or not at all, and the one lock of a sandbox."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o644) -> bool:
    """Put `text` at `path` with `mode`; True when that changed anything."""
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def write_secret(path: Path, text: str) -> bool:
    """`write`, readable by its owner only."""
    return write(path, text, 0o600)


def write_script(path: Path, *lines: str) -> bool:
    """`write` a /bin/sh script."""
    return write(path, "\n".join(("#!/bin/sh", *lines, "")), 0o755)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path`'s flock. Python opens it close-on-exec, so that no daemon started meanwhile keeps it for ever."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
