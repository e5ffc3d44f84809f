"""Which migrations a database has seen: questions for the host that serves, and what their answers mean."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dojo_deploy.command import quote
from dojo_deploy.migrations.folders import PLACES, known_as, of_one_place
from dojo_deploy.migrations.programs import GUARD
from dojo_deploy.release import Migration, Observed, Tool

# Names of the answers.
SERVING, LYING, APPLIED, DATABASE = "migrations it has", "migrations of others", "migrations applied", "the database"


@dataclass(frozen=True)
class History:
    """`applied` and `failed` as the migration tool calls them; None where nobody could be asked."""

    applied: frozenset[str] | None = None
    failed: tuple[str, ...] = ()
    serving: Mapping[str, str] | None = None  # path in what serves -> sha256
    trouble: str = ""  # why the tool's own table could not be read
    tool: str = ""  # prisma, node-pg-migrate, dbmate; empty: another one
    lock: str = ""  # what holds our advisory lock while a migration runs: pg, psql
    no_lock: str = ""  # why nothing does

    def has(self, migration: Migration) -> bool:
        """Whether it ran: by the tool's own table, or else because what serves now came with it."""
        if self.applied is not None:
            return bool(known_as(migration.name) & self.applied)
        return migration.name in (self.serving or {})

    def changed(self, migration: Migration) -> bool:
        """Whether it is not any more what it was when it ran."""
        return (self.serving or {}).get(migration.name, migration.sha256) != migration.sha256

    @property
    def source(self) -> str:
        if self.applied is not None:
            return "the database"
        return "what serves now" if self.serving is not None else ""


def questions(tool: Tool, unknown: Sequence[str] = ()) -> Mapping[str, str]:
    """Lines for the first host that serves. `unknown`: releases on it whose migrations nobody has recorded."""
    each = " ".join(
        f"{quote(place)}/*.* {quote(place)}/*/migration.sql" for place in ((tool.folder,) if tool.folder else PLACES)
    )
    lying = " ".join(map(quote, unknown))
    listed = (
        f'cd ..; for r in {lying}; do (cd "$r" && for f in {each}; do [ ! -f "$f" ] || echo "$r $f"; done); done; :'
    )
    ask = f"node -e {quote(GUARD)} ask {quote(tool.run)} 2>/dev/null || echo '# no lock: no node on PATH'"
    return {
        SERVING: f'for f in {each}; do [ ! -f "$f" ] || sha256sum "$f"; done',
        DATABASE: ask,
        **({APPLIED: tool.applied} if tool.applied else {}),
        **({LYING: listed} if unknown else {}),
    }


def lying(seen: Observed, release: str) -> tuple[str, ...] | None:
    """The migrations of a release as it lies on the first host; None where nobody asked for it."""
    if LYING not in seen.facts:
        return None
    lines = [line.partition(" ") for line in seen.facts[LYING].splitlines()]
    return of_one_place(name for found, _, name in lines if found == release)


def history(seen: Observed) -> History:
    """What the answers say; nothing for a fleet that serves nothing yet."""
    if SERVING not in seen.facts:
        return History()
    lines = [line.split(None, 1) for line in seen.facts[SERVING].splitlines()]
    files = {posixpath.normpath(words[1]): words[0] for words in lines if len(words) == 2}
    serving = {name: files[name] for name in of_one_place(files)}
    said = [line.strip() for line in seen.facts.get(DATABASE, "").splitlines()]
    told = {words[0]: words[2] for line in said if line.startswith("# ") and (words := line[2:].partition(": "))[1]}
    by = next((line.removeprefix("# lock by ") for line in said if line.startswith("# lock by ")), "")
    tool = next((line.removeprefix("# tool ") for line in said if line.startswith("# tool ")), "unknown")
    known = History(
        serving=serving,
        trouble=told.get("table not read", ""),
        tool="" if tool == "unknown" else tool,
        lock=by,
        no_lock=told.get("no lock", ""),
    )
    own = seen.facts.get(APPLIED)
    if own is None and "# table read" not in said:
        return known
    names = [line for line in (said if own is None else map(str.strip, own.splitlines())) if line and line[0] != "#"]
    failed = tuple(name.removeprefix("failed ") for name in names if name.startswith("failed "))
    applied = frozenset(name for name in names if not name.startswith("failed "))
    return replace(known, applied=applied, failed=failed, trouble="")


def names_of(serving: Mapping[str, str]) -> frozenset[str]:
    """Every name under which a migration tool may know the files of what serves."""
    return frozenset().union(*map(known_as, serving))


def states(history: History) -> Mapping[str, str]:
    """Migration -> applied, pending, failed, or foreign: seen by the database, and unknown to what serves."""
    files = {name: known_as(name) for name in history.serving or {}}
    found = {}
    for name, names in files.items():
        seen = history.applied is None or bool(names & history.applied)
        found[name] = "failed" if names & set(history.failed) else "applied" if seen else "pending"
    own: frozenset[str] = frozenset().union(*files.values())
    foreign = dict.fromkeys(sorted((history.applied or frozenset()) - own), "foreign")
    lost = dict.fromkeys((name for name in history.failed if name not in own), "failed")
    return {**found, **foreign, **lost}
