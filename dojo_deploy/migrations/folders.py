"""The migrations of a folder on this machine, or of a release's artifact, each with what was found in it."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations.lint import lint_all
from dojo_deploy.release import Finding, Migration

PLACES = ("prisma/migrations", "migrations", "db/migrations")
PROGRAMS = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts")
BACKWARDS = re.compile(r"(^|[./])down\.sql$")
REVERSE = re.compile(r"[_-]down\.sql$")  # where there is one that it takes back
# dbmate's and node-pg-migrate's: what follows DOWN takes the file back. Other tools run the whole file.
UP = re.compile(r"^--\s*(?:migrate:up|up migration)\b", re.MULTILINE | re.IGNORECASE)
DOWN = re.compile(r"^--\s*(?:migrate:down|down migration)\b.*$", re.MULTILINE | re.IGNORECASE)
PRISMA = "migration.sql"
PACKAGE = "package.json"
MOST = 8 * 2**20  # bytes of one file


def in_folder(path: Path) -> tuple[Migration, ...]:
    """Those below `path`, or the one file that it is. Raises ConfigError when there is nothing to read."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    try:
        wanted = {path} if path.is_file() else set(map(Path, _counted(map(str, files))))
        texts = {str(one): one.read_bytes() for one in files if one in wanted}
    except OSError as exc:
        raise ConfigError(f"{exc.filename}: {exc.strerror}") from exc
    if not texts:
        raise ConfigError(f"no migrations in {path}", hint="a folder of .sql files, or one of them")
    return _judged(texts)


def in_artifact(artifact: Path, folder: str = "") -> tuple[tuple[Migration, ...], Mapping[str, str]]:
    """Those of a release, and the scripts of its package.json. `folder`: the first of PLACES that there is.

    Raises RefusedError for an artifact that cannot be read.
    """
    texts: dict[str, bytes] = {}
    scripts: Mapping[str, str] = {}
    places = (posixpath.normpath(folder),) if folder else PLACES
    try:
        with tarfile.open(artifact, "r|gz") as tar:
            for member in tar:
                name = posixpath.normpath(member.name)
                wanted = _is_migration(name) and any(name.startswith(f"{place}/") for place in places)
                if not (member.isfile() and (wanted or name == PACKAGE)) or member.size > MOST:
                    continue
                data = tar.extractfile(member)
                content = data.read() if data else b""
                if name == PACKAGE:
                    scripts = _scripts(content)
                else:
                    texts[name] = content
    except (tarfile.TarError, EOFError, zlib.error, OSError) as exc:
        raise RefusedError(f"{artifact} is not a whole .tar.gz: {exc}") from exc
    return _judged({name: texts[name] for name in of_one_place(texts, places)}), scripts


def of_one_place(names: Iterable[str], places: tuple[str, ...] = PLACES) -> tuple[str, ...]:
    """The migrations among some files, in the order in which they run: those of the first place that has any."""
    files = sorted(_counted(names))
    place = next((place for place in places if any(name.startswith(f"{place}/") for name in files)), "")
    return tuple(name for name in files if not place or name.startswith(f"{place}/"))


def title(name: str) -> str:
    """What people call a file: Prisma's by its folder."""
    file = posixpath.basename(name)
    return posixpath.basename(posixpath.dirname(name)) if file == PRISMA else file


def known_as(name: str) -> frozenset[str]:
    """How migration tools call a file in their tables: Prisma by folder, others by file, stem or version."""
    named = title(name)
    stem = posixpath.splitext(named)[0]
    return frozenset({named, stem, stem.partition("_")[0]})


def _counted(names: Iterable[str]) -> Iterator[str]:
    """Those that go forwards: `2_scale_down.sql` does, unless it takes `2_scale.sql` or `2_scale_up.sql` back."""
    files = {name for name in names if _is_migration(name)}
    for name in files:
        sign = REVERSE.search(name)
        forwards = {name[: sign.start()] + rest for rest in (".sql", "_up.sql", "-up.sql")} if sign else set()
        if not forwards & files:
            yield name


def _is_migration(name: str) -> bool:
    return name.endswith((".sql", *PROGRAMS)) and not BACKWARDS.search(name) and not name.endswith(".d.ts")


def _judged(texts: Mapping[str, bytes]) -> tuple[Migration, ...]:
    sql = {name: _forwards(name, data.decode("utf-8", "replace")) for name, data in texts.items() if _is_sql(name)}
    found = dict(zip(sql, lint_all(sql.values()), strict=True))
    unjudged = (Finding(1, "unjudged", "a program and no SQL: what it does is not known"),)
    return tuple(
        Migration(name, hashlib.sha256(data).hexdigest(), found.get(name, unjudged)) for name, data in texts.items()
    )


def _forwards(name: str, text: str) -> str:
    """What runs when the file does."""
    cut = DOWN.search(text)
    if not cut or posixpath.basename(name) == PRISMA or not UP.search(text[: cut.start()]):
        return text
    return text[: cut.start()]


def _is_sql(name: str) -> bool:
    return not name.endswith(PROGRAMS)


def _scripts(data: bytes) -> Mapping[str, str]:
    try:
        scripts = json.loads(data)["scripts"]
        return {str(name): str(line) for name, line in scripts.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
