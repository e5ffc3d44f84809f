"""Which migrations a database has seen: questions for the host that serves, and what their answers mean."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.command import quote
from dojo_deploy.migrations.folders import PLACES, known_as, of_one_place
from dojo_deploy.release import Migration, Observed

SERVING, APPLIED = "migrations it has", "migrations applied"  # names of the answers
# Asks with the application's own driver: the address, password included, is read from the environment.
PRISMA = """node -e '
const no = (why) => console.log("unknown: " + String(why.message || why).split("\\n")[0])
const table = "SELECT migration_name AS name, finished_at AS at, rolled_back_at AS back FROM _prisma_migrations"
const told = (row) => console.log((row.at ? "" : "failed ") + row.name)
try {
  const { Client } = require("pg")
  const client = new Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 5000 })
  client.connect()
    .then(() => client.query(table))
    .then(({ rows }) => rows.filter((row) => !row.back).forEach(told))
    .catch((error) => error.code === "42P01" || no(error))
    .finally(() => client.end())
} catch (error) { no(error) }' 2>/dev/null || echo "unknown: no node on PATH"
"""


@dataclass(frozen=True)
class History:
    """`applied` and `failed` as the migration tool calls them; None where nobody could be asked."""

    applied: frozenset[str] | None = None
    failed: tuple[str, ...] = ()
    serving: Mapping[str, str] | None = None  # path in what serves -> sha256
    trouble: str = ""  # why the tool's own table could not be read

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


def questions(run: str, folder: str, applied: str) -> Mapping[str, str]:
    """Lines for the first host that serves. `applied`: the operator's own; for Prisma there is one of ours."""
    places = (folder,) if folder else PLACES
    each = " ".join(f"{quote(place)}/*.* {quote(place)}/*/migration.sql" for place in places)
    asked = {SERVING: f'for f in {each}; do [ ! -f "$f" ] || sha256sum "$f"; done'}
    line = applied or (PRISMA if re.search(r"\bprisma\b", run) else "")
    return {**asked, APPLIED: line} if line else asked


def history(seen: Observed) -> History:
    """What the answers say; nothing for a fleet that serves nothing yet."""
    if SERVING not in seen.facts:
        return History()
    lines = [line.split(None, 1) for line in seen.facts[SERVING].splitlines()]
    files = {posixpath.normpath(words[1]): words[0] for words in lines if len(words) == 2}
    serving = {name: files[name] for name in of_one_place(files)}
    told = seen.facts.get(APPLIED)
    if told is None:
        return History(serving=serving)
    if told.startswith("unknown:"):
        return History(serving=serving, trouble=told.removeprefix("unknown:").strip())
    names = [line.strip() for line in told.splitlines() if line.strip()]
    failed = tuple(name.removeprefix("failed ") for name in names if name.startswith("failed "))
    return History(frozenset(name for name in names if not name.startswith("failed ")), failed, serving)


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
