"""Artifacts that were built before, each with a sidecar that says what it must be."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from dojo_deploy.release import Platform, Release

KEEP = 5


@dataclass(frozen=True)
class Built:
    """A release and its artifact on this machine: a gzipped tar of the release's folder."""

    release: Release
    path: Path


def find(cache: Path, release: Release) -> Built | None:
    """What was kept under the release's id, if its bytes are still the same."""
    file, sidecar = _files(cache, release.id)
    try:
        kept = json.loads(sidecar.read_text("utf-8"))
        known = replace(
            release,
            sha256=kept["sha256"],
            size=kept["size"],
            platform=Platform(**kept["platform"]),
            commit=kept["commit"],
        )
        if measure(file) != (known.sha256, known.size):
            return None
        os.utime(file)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Built(known, file)


def keep(cache: Path, release: Release, artifact: Path) -> Built:
    """Moves `artifact` into the cache; the sidecar comes last, so that a torn write is a missing one."""
    file, sidecar = _files(cache, release.id)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    sidecar.unlink(missing_ok=True)
    _copy(artifact, file)
    _write(sidecar, json.dumps(asdict(release), indent=2).encode())
    _prune(file.parent, spare=file)
    return Built(release, file)


def measure(file: Path) -> tuple[str, int]:
    """Its sha256 and its size in bytes."""
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def read_platform(data: Mapping[str, object]) -> Platform:
    """A platform from a file's words; what is not a word is unknown."""
    names = ("system", "machine", "libc", "node_abi")
    return Platform(**{name: value for name in names if isinstance(value := data.get(name), str)})


def create(file: Path) -> BinaryIO:
    """A new file of mode 0600."""
    return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _files(cache: Path, name: str) -> tuple[Path, Path]:
    folder = cache / "artifacts"
    return folder / f"{name}.tar.gz", folder / f"{name}.json"


def _copy(source: Path, target: Path) -> None:
    # The work folder may be on another file system, where a rename cannot reach.
    fresh = target.with_suffix(f".{os.getpid()}.part")
    with source.open("rb") as stream, create(fresh) as out:
        while chunk := stream.read(1 << 20):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(target)


def _write(target: Path, data: bytes) -> None:
    fresh = target.with_suffix(f".{os.getpid()}.part")
    with create(fresh) as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(target)


def _prune(folder: Path, *, spare: Path) -> None:
    kept = sorted(folder.glob("*.tar.gz"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in [each for each in kept if each != spare][KEEP - 1 :]:
        with contextlib.suppress(FileNotFoundError):
            file.with_suffix("").with_suffix(".json").unlink()
            file.unlink()
