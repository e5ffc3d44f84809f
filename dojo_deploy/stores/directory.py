"""A folder that all controllers can write: for a team on one machine, or one shared file system."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dojo_deploy.durable import make_folder, sync_folder
from dojo_deploy.errors import ConflictError, StoreError
from dojo_deploy.interfaces import Clock, Session, Stored
from dojo_deploy.stores.envelope import LONGEST_LINE, checked, etag_of, is_key, length_of, seal, unseal
from dojo_deploy.streams import Sink

LOCK_SECONDS = 15.0  # for another writer's compare and rename, which takes milliseconds
LOCK_EVERY = 0.01
UNFINISHED = ".unfinished"
STALE_SECONDS = 86400.0  # what a killed process left behind is removed after so long


@dataclass(frozen=True)
class Directory:
    """Settings: `path`, absolute or relative to the inventory's folder."""

    path: str = field(metadata={"path": True})

    def open(self, session: Session) -> DirectoryStore:
        base = Path(self.path).expanduser() / session.inventory.scope
        with _told("opened", str(base)):
            make_folder(base)
            _clear(base / UNFINISHED, before=session.clock.now() - STALE_SECONDS)
        return DirectoryStore(base, session.clock)

    def preview(self) -> str:
        return str(Path(self.path).expanduser())


@dataclass(frozen=True)
class DirectoryStore:
    """Compare and rename under one lock file; a reader sees a whole object or none."""

    base: Path
    clock: Clock

    def get(self, key: str) -> Stored | None:
        with _told("read", key):
            try:
                raw = (self.base / checked(key)).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return unseal(key, raw)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None = None,
        absent: bool = False,
        keep: float = 0.0,  # noqa: ARG002 - who owns the folder can destroy all in it
    ) -> str:
        target = self.base / checked(key)
        sealed = seal(data)
        with _told("written", key), self._unfinished(key) as (name, file):
            file.write(sealed.raw)
            _settle(file)
            with self._alone():
                found = _head(target)
                if absent and found is not None:
                    raise ConflictError(f"{key} exists already in the store")
                if etag is not None and (found is None or etag_of(found) != etag):
                    raise ConflictError(f"{key} has changed in the store")
                self._publish(name, target)
        return sealed.etag

    def delete(self, key: str) -> None:
        target = self.base / checked(key)
        with _told("deleted", key), self._alone():
            target.unlink(missing_ok=True)
            if target.parent.is_dir():
                sync_folder(target.parent)

    def list(self, prefix: str) -> tuple[str, ...]:
        with _told("listed", prefix or "/"):
            sync_folder(self.base)  # a base that is gone must not look like an empty one
            found = (path.relative_to(self.base).as_posix() for path in self.base.rglob("*") if path.is_file())
            return tuple(sorted(key for key in found if is_key(key) and key.startswith(prefix)))

    def upload(self, key: str, path: Path) -> None:
        target = self.base / checked(key)
        with _told("uploaded", key), path.open("rb") as source, self._unfinished(key) as (name, file):
            shutil.copyfileobj(source, file, 1 << 20)
            _settle(file)
            with self._alone():
                self._publish(name, target)

    def download(self, key: str, path: Path) -> bool:
        with _told("downloaded", key):
            try:
                source = (self.base / checked(key)).open("rb")
            except FileNotFoundError:
                return False
            with source, _create(path) as file:
                source.seek(length_of(source.read(LONGEST_LINE)))
                shutil.copyfileobj(source, file, 1 << 20)
        return True

    @contextmanager
    def incoming(self, key: str, *, keep: float = 0.0) -> Iterator[Sink]:  # noqa: ARG002
        target = self.base / checked(key)
        with ExitStack() as stack:
            with _told("written", key):
                name, file = stack.enter_context(self._unfinished(key))

            def take(data: bytes) -> None:
                with _told("written", key):
                    file.write(data)

            yield take
            with _told("written", key):
                _settle(file)
                with self._alone():
                    self._publish(name, target)

    def abandon(self, prefix: str) -> None:
        with _told("cleared", prefix):
            for path in (self.base / UNFINISHED).glob(f"{_flat(prefix)}*"):
                path.unlink(missing_ok=True)

    @contextmanager
    def outgoing(self, key: str) -> Iterator[BinaryIO | None]:
        with ExitStack() as stack:
            with _told("read", key):
                try:
                    file = stack.enter_context((self.base / checked(key)).open("rb"))
                except FileNotFoundError:
                    file = None
                if file:
                    file.seek(length_of(file.read(LONGEST_LINE)))
            yield file

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _unfinished(self, key: str) -> Iterator[tuple[Path, BinaryIO]]:
        if not self.base.is_dir():  # an unmounted file system must not be written beside
            raise FileNotFoundError(2, "the store's folder is gone", str(self.base))
        name = self.base / UNFINISHED / f"{_flat(key)}~{uuid.uuid4().hex}"
        make_folder(name.parent)
        try:
            with _create(name) as file:
                yield name, file
        finally:
            name.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.base / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = self.clock.monotonic() + LOCK_SECONDS
            while not _locked(lock):
                if self.clock.monotonic() > deadline:
                    raise StoreError(f"{self.base}/.lock has been held for {LOCK_SECONDS:.0f} s by another process")
                self.clock.sleep(LOCK_EVERY)
            yield
        finally:
            os.close(lock)

    def _publish(self, name: Path, target: Path) -> None:
        make_folder(target.parent)
        name.rename(target)
        sync_folder(target.parent)


def _flat(key: str) -> str:
    """As one part of a path; no key has a `~`."""
    return key.replace("/", "~")


def _clear(folder: Path, *, before: float) -> None:
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()


def _head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_LINE)
    except FileNotFoundError:
        return None


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _told(verb: str, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(f"{what} could not be {verb}: {exc.strerror or exc} ({exc.filename})") from exc
