"""An artifact that a CI made: checked member by member, then taken as it is."""

from __future__ import annotations

import gzip
import json
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dojo_deploy.builds.artifact import NOTE, RESERVED, refuse_escape
from dojo_deploy.builds.cached import Built, keep, measure, read_platform
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.release import Release

if TYPE_CHECKING:
    from dojo_deploy.inventory import Inventory

NOTE_BYTES = 65536
PRIVATE = (".git", ".npmrc", RESERVED)


def adopt(file: Path, site: Inventory, *, cache: Path | None = None) -> Built:
    """The release in `file`, a gzipped tar of the release's folder; `.dojo-release.json` in it may name its commit.

    With `cache`, a copy there that outlives the CI's own file.

    Raises:
        ConfigError: no such file.
        RefusedError: not a whole gzipped tar, or a member that must not be unpacked on a host.
    """
    if not file.is_file():
        raise ConfigError(f"no artifact {file}", key="--artifact", where=site.path)
    note: dict[str, object] = {}
    try:
        with gzip.open(file) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as tar:
            for member in safe_members(tar):
                if _name(member).split("/")[0] in PRIVATE:
                    raise RefusedError(f"{member.name!r} must not be in a release", hint="leave it out when packing")
                if (
                    _name(member) == NOTE
                    and member.isfile()
                    and member.size <= NOTE_BYTES
                    and (data := tar.extractfile(member))
                ):
                    note = _note(data.read())
            # tarfile takes a torn end for the end.
            while unzipped.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as exc:
        raise RefusedError(f"{file} is not a whole .tar.gz: {exc}") from exc
    sha256, size = measure(file)
    commit = note.get("commit")
    named = commit if isinstance(commit, str) and commit.isalnum() else ""
    platform = note.get("platform")
    ref = note.get("ref")
    release = Release(
        id=f"{named[:10] or 'artifact'}-{sha256[:8]}",
        commit=named,
        ref=ref if isinstance(ref, str) else "",
        sha256=sha256,
        size=size,
        platform=read_platform(platform if isinstance(platform, dict) else {}),
    )
    return keep(cache, release, file) if cache else Built(release, file)


def safe_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All members, each checked before it is given. Raises RefusedError for one that could leave the folder."""
    links: set[str] = set()
    files = 0
    for member in tar:
        name = _name(member)
        parts = name.split("/")
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise RefusedError(f"{member.name!r} leads out of the release")
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            raise RefusedError(f"{member.name!r} is neither a file, a folder nor a link")
        if any("/".join(parts[:depth]) in links for depth in range(1, len(parts))) or (name in links):
            raise RefusedError(f"{member.name!r} would be written through a link")
        if member.issym():
            refuse_escape(name, member.linkname)
            links.add(name)
        if member.islnk():
            refuse_escape("", member.linkname)
        files += member.isfile()
        yield member
    if not files:
        raise RefusedError("the artifact has no files")


def _name(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(member.name)


def _note(data: bytes) -> dict[str, object]:
    try:
        note = json.loads(data)
    except ValueError as exc:
        raise RefusedError(f"{NOTE} in the artifact is not valid JSON: {exc}") from exc
    return note if isinstance(note, dict) else {}
