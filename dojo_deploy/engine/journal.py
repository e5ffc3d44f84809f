"""The write-ahead log of this process: every event as one line, on disk before what it announces is done.

A line is the event's JSON with a `crc` at its end. The last line may be torn by a crash and is then ignored; damage
anywhere else is an error. Secrets are masked before anything is written.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dojo_deploy.durable import make_folder, sync_folder
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import Event, StepStarted, UndoStarted, from_dict
from dojo_deploy.secrets import Redactor, Secret

FILE = "journal.jsonl"
CRC = ', "crc": "'
TAIL = len(CRC) + 8 + len('"}')


class Journal:
    """A subscriber that writes. `sync()` makes durable what was written: once per intent and once per outcome.

    Until the first intent is durable nothing has been changed, and an error is raised: a deployment without its
    journal must not begin. Later errors are kept in `trouble`: a full disk here is no reason to leave hosts half way.
    """

    def __init__(self, path: Path, redact: Redactor | None = None) -> None:
        """Opens or continues the file, 0600 in folders 0700. Raises RefusedError when it cannot be written."""
        self.path = path
        self.trouble = ""
        self._redact = redact or Redactor()
        self._lock = threading.Lock()
        self._announced = False
        self._changed = False
        self._dirty = False
        with self._guarded():
            make_folder(path.parent)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._end = _whole(path.read_bytes())
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)
            sync_folder(path.parent)

    def write(self, event: Event) -> None:
        """Hands the event to the operating system: it survives this process, though not yet the machine."""
        line = _encode(event, self._redact)
        with self._lock, self._guarded():
            self._announced |= isinstance(event, (StepStarted, UndoStarted))
            try:
                _write_all(self._file, line)
            except OSError:
                # A torn line in the middle would make all that follows unreadable.
                os.ftruncate(self._file, self._end)
                raise
            self._end += len(line)
            self._dirty = True

    def sync(self) -> None:
        """What was written survives the machine."""
        with self._lock, self._guarded():
            if self._dirty:
                os.fsync(self._file)
                self._dirty = False
            self._changed |= self._announced

    def close(self) -> None:
        self.sync()
        os.close(self._file)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            self.trouble = f"the journal {self.path} cannot be written: {exc.strerror or exc}"
            if not self._changed:
                raise RefusedError(self.trouble, hint="nothing was changed; free space or fix permissions") from exc


def read(path: Path) -> list[Event]:
    """Every event, in order. Raises RefusedError for damage that is not just a torn last line, or no such file."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise RefusedError(f"the journal {path} cannot be read: {exc.strerror}") from exc
    return decode(data, str(path))


def decode(data: bytes, name: str) -> list[Event]:
    """Every event of a journal's bytes. Raises RefusedError for damage that is not just a torn last line."""
    lines = data.split(b"\n")
    events = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last newline is empty, or torn
        try:
            events.append(_decode(line))
        except (ValueError, KeyError, TypeError) as exc:
            if number == len(lines) - 1 and not lines[-1]:
                break
            raise RefusedError(
                f"the journal {name} is damaged in line {number} of {len(lines) - 1}: {exc}",
                hint="what really happened is in the store and on the hosts: `invoke status`, `invoke history`",
            ) from exc
    return events


def path_of(root: Path, scope: str, run: str) -> Path:
    """Where a run's journal is; `root` is the folder `.dojo`."""
    return root / "runs" / scope / run / FILE


def runs(root: Path, scope: str) -> tuple[str, ...]:
    """Ids of the runs that have a journal on this machine, newest first."""
    return tuple(sorted((path.parent.name for path in (root / "runs" / scope).glob(f"*/{FILE}")), reverse=True))


def redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """`value` as plain JSON data with every string masked, keys too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Secret):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted(item, redact) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted(item, redact) for item in value]
    return value


def _encode(event: Event, redact: Redactor) -> bytes:
    body = json.dumps(redacted(event.as_dict(), redact))
    return f'{body[:-1]}{CRC}{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _decode(line: bytes) -> Event:
    text = line.decode("ascii")
    body = text[:-TAIL] + "}"
    if text[-TAIL:] != f'{CRC}{zlib.crc32(body.encode()):08x}"}}':
        raise ValueError("its checksum does not match")
    return from_dict(json.loads(body))


def _whole(data: bytes) -> int:
    """How many bytes there are up to the end of the last whole line."""
    end = data.rfind(b"\n") + 1
    start = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    try:
        _decode(data[start : end - 1])
    except (ValueError, KeyError, TypeError):
        return start
    return end


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
