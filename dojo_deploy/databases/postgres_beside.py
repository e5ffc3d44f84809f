"""A database beside the live one, and their trading places: what PostgreSQL is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dojo_deploy.database import Contents, Dump, Swap
from dojo_deploy.databases import archive
from dojo_deploy.databases import postgres_beside_scripts as scripts
from dojo_deploy.databases import postgres_scripts as common
from dojo_deploy.databases import postgres_spool_scripts as spooled
from dojo_deploy.databases.rows import contents_of, rows
from dojo_deploy.errors import BackupError
from dojo_deploy.interfaces import Session

if TYPE_CHECKING:
    from dojo_deploy.databases.postgres import Postgres

FULL = "No space left on device"


def others(postgres: Postgres, session: Session) -> Mapping[str, str]:
    text = postgres.ask(session, scripts.OTHERS, {}, database=postgres.aside)
    found = [json.loads(line) for line in text.split("\n") if line.startswith('["database"')]
    return {name: comment for _, name, comment in found}


def lacking(postgres: Postgres, session: Session, properties: Mapping[str, Any]) -> tuple[str, ...]:
    if postgres.ownership == "user":
        return ()
    pairs = (*(properties.get("grants") or ()), *(properties.get("settings") or ()))
    wanted = {properties.get("owner"), *(properties.get("roles") or ()), *(pair[0] for pair in pairs)}
    values = {"roles": json.dumps(sorted(filter(None, wanted)))}
    text = postgres.ask(session, scripts.LACKING, values, database=postgres.aside)
    return tuple(values[0] for _, values in rows(text))


def bring_back(postgres: Postgres, session: Session, dump: Dump, name: str, properties: Mapping[str, Any]) -> Contents:
    mine = postgres.ownership == "user"
    values = {"new": name, "properties": json.dumps(_without_roles(properties) if mine else properties)}
    postgres.ask(session, scripts.CREATE, values, database=postgres.aside)
    contents = fill(postgres, session, dump, name, *(("--no-owner", "--no-privileges") if mine else ()))
    postgres.ask(session, "ANALYZE;", {}, database=name, within=postgres.backups.within)
    postgres.ask(session, scripts.DRESS, values, database=postgres.aside)
    return contents


def fill(postgres: Postgres, session: Session, dump: Dump, name: str, *words: str) -> Contents:
    """Restores a dump into a new database, and counts."""
    script = (spooled if dump.is_packed else common).RESTORE
    heard = postgres.run(session, script, str(dump.size), name, *words, stdin=dump.stream)
    if FULL in heard.words:
        # To drop a database is a checkpoint, and that ends a server whose disk is full; to drop tables is none.
        with suppress(BackupError):
            postgres.ask(session, scripts.EMPTY, {}, database=name)
    archive.refuse_failed("restore", heard)
    return contents_of(rows(postgres.ask(session, common.COUNT, {}, database=name, within=postgres.backups.within)))


def approve(postgres: Postgres, session: Session, name: str) -> None:
    postgres.ask(session, scripts.APPROVE, {"new": name}, database=postgres.aside)


def swap(postgres: Postgres, session: Session, swap: Swap) -> None:
    postgres.ask(session, scripts.SWAP, _values(swap), database=postgres.aside)


def swap_back(postgres: Postgres, session: Session, swap: Swap) -> None:
    postgres.ask(session, scripts.SWAP_BACK, _values(swap), database=postgres.aside)


def preview(postgres: Postgres, verb: str, *names: str) -> tuple[str, ...]:
    """By verb: dump · bring_back NEW · swap LIVE NEW OLD · swap_back LIVE NEW OLD · drop_scratch NAME."""
    at = f"{postgres.runs_on}: "
    inside = f"psql {postgres.aside}: "
    if verb == "dump":
        how = f"-Fd -j {postgres.jobs}" if postgres.jobs > 1 else "-Fc"
        return (f"{at}pg_dump {how} {postgres.name}", f"{at}pg_dumpall --globals-only", f"{at}pg_restore -f /dev/null")
    if verb == "bring_back":
        (new,) = names
        return (
            f"{at}{inside}CREATE DATABASE {new} TEMPLATE template0 …",
            f"{at}pg_restore --exit-on-error -d {new}",
            f"{at}psql {new}: SELECT count(*) FROM each table; ANALYZE",
            f"{at}{inside}owner, settings and grants of {new} as they were",
        )
    if verb == "drop_scratch":
        return (f"{at}{inside}DROP DATABASE {names[0]} WITH (FORCE)",)
    live, new, old = names if verb == "swap" else (names[0], names[2], names[1])
    return (
        f"{at}{inside}ALTER DATABASE {live} ALLOW_CONNECTIONS false",
        f"{at}{inside}SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{live}'",
        f"{at}{inside}BEGIN; ALTER DATABASE {live} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {live}; COMMIT",
        f"{at}{inside}ALTER DATABASE {live} ALLOW_CONNECTIONS true",
    )


def _values(swap: Swap) -> dict[str, str]:
    return {
        "live": swap.live,
        "new": swap.new,
        "old": swap.old,
        "until": swap.until,
        "comment": swap.comment,
        "alone": "true" if swap.is_alone else "false",
        "new_mark": swap.kept_until,
    }


def _without_roles(properties: Mapping[str, Any]) -> dict[str, Any]:
    settings = [one for one in properties.get("settings") or () if not one[0]]
    return {**properties, "owner": None, "grants": None, "settings": settings}
