"""The reverse of a migration as the next file of its folder, laid out as the folder's tool wants it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations.folders import DOWN, PLACES, PROGRAMS, in_folder, known_as, title
from dojo_deploy.migrations.lint import lint
from dojo_deploy.migrations.reverse import Part, reversed_parts
from dojo_deploy.release import Finding

UP = re.compile(r"^--\s*(migrate:up|up migration)\b.*\n", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Reverse:
    """`left`: what it does not take back. `findings`: what a deployment will say of the file itself."""

    of: str
    path: Path
    sql: str
    left: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()


def reverse(folder: Path, migration: str = "", *, now: float) -> Reverse:
    """What takes back `migration`, or the newest of the folder. Writes nothing.

    Raises ConfigError for a migration that is not there, RefusedError for one from which nothing leads back.
    """
    files = [found.name for found in in_folder(folder)]
    chosen = [name for name in files if migration in ("", name, *known_as(name))]
    if not chosen:
        known = ", ".join(map(title, files[-3:]))
        raise ConfigError(f"no migration {migration!r} in {folder}", key="--migration", hint=f"… {known}")
    source = Path(chosen[-1])
    if source.name.endswith(PROGRAMS):
        raise RefusedError(f"{source} is a program and no SQL", hint="its own `down`, if it has one, is the way back")
    text = source.read_text(encoding="utf-8", errors="replace")
    own = _own_way(source, text)
    parts = () if own else reversed_parts(DOWN.split(text)[0])
    made = own or "\n".join(part.sql for part in parts if part.sql)
    left = tuple(sorted((part for part in parts if part.why), key=lambda part: part.line))
    if not made:
        raise RefusedError(
            "\n".join([f"nothing leads back from {title(str(source))}:", *(f"{p.line}: {p.why}" for p in left)]),
            hint="what only expanded may stay; what is lost comes back with invoke backup.restore",
        )
    head = [f"-- Takes back {title(str(source))}. It goes forwards: ship it with the next release."]
    head += [f"-- NOT TAKEN BACK, line {part.line}: {part.why}" for part in left]
    marks = UP.search(text)
    tail = DOWN.search(text)
    before, behind = (marks[0] if marks else ""), (f"\n{tail[0]}\n" if tail else "")
    sql = before + "\n".join(head) + f"\n\n{made}\n" + behind
    return Reverse(str(source), _next(source, [Path(name) for name in files], now), sql, left, lint(made))


def write(found: Reverse) -> None:
    """Raises RefusedError where something is already."""
    if found.path.exists():
        raise RefusedError(f"{found.path} is already there", hint="ship it, or remove it")
    found.path.parent.mkdir(parents=True, exist_ok=True)
    found.path.write_text(found.sql, encoding="utf-8")


def place(path: str) -> Path:
    """The folder that is meant: `path`, or the first of PLACES that there is. Raises ConfigError."""
    where = path or next((place for place in PLACES if Path(place).is_dir()), "")
    if not where:
        raise ConfigError(f"no migrations here: none of {', '.join(PLACES)}", hint="--path DIR")
    return Path(where)


def _own_way(source: Path, text: str) -> str:
    """What the author has written for it: `down.sql` beside Prisma's file, or the part behind the tool's own mark."""
    beside = source.with_name("down.sql") if source.name == "migration.sql" else source
    beside = source.with_suffix(".down.sql") if beside == source else beside
    parts = DOWN.split(text)
    written = (
        beside.read_text(encoding="utf-8", errors="replace")
        if beside.is_file()
        else (parts[-1] if len(parts) > 1 else "")
    )
    return written.strip()


def _next(source: Path, files: list[Path], now: float) -> Path:
    named = title(str(source)).removesuffix(".sql").removesuffix(".up")
    stem = re.sub(r"^\d+[_-]?", "", named) or named
    numbers = [re.match(r"\d+", title(str(file))) for file in files]
    widths = [len(number[0]) for number in numbers if number]
    width = widths[-1] if widths else 14
    last = max((int(number[0]) for number in numbers if number), default=0)
    moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
    following = {14: int(moment), 13: int(now * 1000), 10: int(now)}.get(width, 0)
    number = str(max(following, last + 1)).zfill(width)
    if source.name == "migration.sql":
        return source.parent.parent / f"{number}_take_back_{stem}" / "migration.sql"
    return source.parent / f"{number}_take_back_{stem}{'.up' if source.name.endswith('.up.sql') else ''}.sql"
