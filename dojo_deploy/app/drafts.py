"""From an index as people ask for it to one that can be handed to a server: every part read strictly, and named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dojo_deploy.errors import ConfigError
from dojo_deploy.migrations import fragments
from dojo_deploy.tuning import Draft

LONGEST = 63  # bytes of a name


@dataclass(frozen=True)
class Wanted:
    """An index as it is asked for on a command line; `fragments` says what may stand in each."""

    table: str
    columns: str
    name: str = ""
    method: str = "btree"
    is_unique: bool = False
    include: str = ""
    where: str = ""


def drafted_from(wanted: Wanted) -> Draft:
    """Read strictly. Raises ConfigError that names the flag."""
    table = fragments.name(wanted.table)
    columns = fragments.columns(wanted.columns)
    include = fragments.names(wanted.include, "include")
    where = fragments.condition(wanted.where)
    schema, method = fragments.name(wanted.method, "using")
    if schema:
        raise ConfigError("an access method has no schema", key="using", hint="btree, gin, gist, brin, hash")
    name = fragments.name(wanted.name, "name") if wanted.name else ("", _derived(wanted, table, columns))
    if name[0]:
        raise ConfigError("an index lies in the schema of its table", key="name", hint=f"--name {name[1]}")
    return Draft(table, columns, name[1], method, wanted.is_unique, include, where)


def _derived(wanted: Wanted, table: tuple[str, str], columns: tuple[tuple[str, str, str], ...]) -> str:
    """The same for the same wish, so that a second attempt finds what the first one left."""
    plain = "_".join((table[1], *(column or "expr" for column, _, _ in columns), "idx"))
    special = any(expression or order for _, expression, order in columns) or wanted.method != "btree"
    if not (special or wanted.is_unique or wanted.include or wanted.where) and len(plain.encode()) <= LONGEST:
        return plain
    wish = repr((table, columns, wanted.method, wanted.is_unique, wanted.include.strip(), wanted.where.strip()))
    mark = hashlib.sha256(wish.encode()).hexdigest()[:8]
    return f"{plain.encode()[: LONGEST - 13].decode(errors='ignore').removesuffix('_idx')}_{mark}_idx"
