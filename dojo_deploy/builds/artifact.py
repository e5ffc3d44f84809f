"""One tree, one file: the same tree gives the same bytes, and what must not be shipped is not in them."""

from __future__ import annotations

import gzip
import json
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import IO

from dojo_deploy.builds.cached import create, measure
from dojo_deploy.errors import RefusedError
from dojo_deploy.release import Platform, Release

LEVEL = 4
NOTE = ".dojo-release.json"  # what the artifact says of itself; read when it is adopted elsewhere
RESERVED = ".dojo"  # dojo_deploy's own folder in each release on a host
PRIVATE_NAMES = re.compile(r"\.git|\.npmrc|\.env|\.env\..*|\.envrc|\.netrc")
PRIVATE_KEY = re.compile(rb"\A\s*-----BEGIN [A-Z ]*PRIVATE KEY")
NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
SHORTEST_SECRET = 8  # shorter ones would be found in any file, by chance


def pack(
    tree: Path, target: Path, *, release: Release, mtime: int, secrets: tuple[str, ...], say: Callable[[str], None]
) -> Release:
    """Writes `target`; returns `release` with its sha256, size and, if it has no native code, no platform.

    Raises:
        RefusedError: a link leads out of the tree, a file is neither file, folder nor link, or holds a secret.
    """
    needles = tuple(value.encode("utf-8", "surrogateescape") for value in secrets if len(value) >= SHORTEST_SECRET)
    left_out: list[str] = []
    native = False
    with (
        create(target) as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar,
    ):
        for path, name in _walk(tree, left_out):
            native |= _add(tar, tree, path, name, mtime, needles)
        platform = release.platform if native else Platform()
        note = {"commit": release.commit, "platform": asdict(platform)}
        _add_note(tar, json.dumps(note, sort_keys=True).encode(), mtime)
    own = [name for name in left_out if "node_modules" not in name.split("/")]
    if own:
        say(f"left out of the release: {', '.join(own[:10])}{' …' if len(own) > 10 else ''}")
    sha256, size = measure(target)
    return replace(release, sha256=sha256, size=size, platform=platform)


def refuse_escape(name: str, link: str) -> None:
    """Raises RefusedError when the link `name` leads out of the release."""
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    if link.startswith("/") or where == ".." or where.startswith("../"):
        raise RefusedError(
            f"{name} is a link out of the release, to {link}",
            hint="a link of a monorepo's workspaces: build from the folder that holds both, or copy what is needed",
        )


def _walk(tree: Path, left_out: list[str]) -> Iterator[tuple[Path, str]]:
    stack = [""]
    while stack:
        folder = stack.pop()
        entries = sorted(os.scandir(tree / folder), key=lambda entry: os.fsencode(entry.name))
        folders = []
        for entry in entries:
            name = posixpath.join(folder, entry.name)
            if _is_left_out(entry, name):
                if entry.name != ".git":
                    left_out.append(name)
                continue
            yield Path(entry.path), name
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
        stack.extend(reversed(folders))


def _is_left_out(entry: os.DirEntry[str], name: str) -> bool:
    if name in (NOTE, RESERVED) or PRIVATE_NAMES.fullmatch(entry.name) or name.endswith("node_modules/.cache"):
        return True
    if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_size > 1 << 16:
        return False
    with Path(entry.path).open("rb") as file:
        return bool(PRIVATE_KEY.match(file.read(200)))


def _add(tar: tarfile.TarFile, tree: Path, path: Path, name: str, mtime: int, needles: tuple[bytes, ...]) -> bool:
    status = path.lstat()
    member = tarfile.TarInfo(name)
    member.mtime = mtime
    member.mode = stat.S_IMODE(status.st_mode) & 0o777
    if stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
        return False
    if stat.S_ISLNK(status.st_mode):
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, str(path.readlink())
        refuse_escape(name, member.linkname)
        if not path.resolve().is_relative_to(tree.resolve()):
            refuse_escape(name, str(path.resolve()))
        tar.addfile(member)
        return False
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{name} is neither a file, a folder nor a link")
    member.size = status.st_size
    with path.open("rb") as file:
        watched = _Watched(file, name, needles)
        tar.addfile(member, watched)
    return watched.start.startswith(NATIVE) or name.endswith(".node")


def _add_note(tar: tarfile.TarFile, data: bytes, mtime: int) -> None:
    member = tarfile.TarInfo(NOTE)
    member.mtime, member.mode, member.size = mtime, 0o644, len(data)
    tar.addfile(member, BytesIO(data))


class _Watched:
    """A file that refuses to be read when a secret comes by, also one that lies across two reads."""

    def __init__(self, file: IO[bytes], name: str, needles: tuple[bytes, ...]) -> None:
        self._file = file
        self._name = name
        self._needles = needles
        self._overlap = max(map(len, needles), default=1) - 1
        self._tail = b""
        self.start = b""

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.start = self.start or chunk[:4]
        seen = self._tail + chunk
        if any(needle in seen for needle in self._needles):
            raise RefusedError(
                f"{self._name} holds the value of a secret of the build, and would be on every host",
                hint="give what may be public as a plain value in app.build.env, and keep the secret out of the output",
            )
        self._tail = seen[-self._overlap :] if self._overlap else b""
        return chunk
