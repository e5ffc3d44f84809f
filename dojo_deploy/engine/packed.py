"""Many releases, each with its migrations, as JSON: most have most of them in common, so each is written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from dojo_deploy.release import Finding, Known, Migration, Tool

GRAVEST = 3  # findings of a migration that are kept


def kept(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """Of their findings only what an older release cannot live with."""
    return tuple(replace(migration, findings=migration.grave[:GRAVEST]) for migration in migrations)


def packed(known: Iterable[Known]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The releases, and the table of migrations that their `migrations` are numbers in."""
    numbers: dict[Migration, int] = {}
    releases = []
    for one in known:
        mine = None if one.migrations is None else [numbers.setdefault(each, len(numbers)) for each in one.migrations]
        releases.append({**asdict(replace(one, migrations=None)), "migrations": mine})
    return releases, [asdict(each) for each in numbers]


def unpacked(releases: Sequence[Mapping[str, Any]], table: Sequence[Mapping[str, Any]]) -> tuple[Known, ...]:
    """Raises KeyError, TypeError, IndexError for what is no such thing; keys that are not known are left out."""
    migrations = [migration(each) for each in table]
    names = {item.name for item in fields(Known)}
    found = []
    for one in releases:
        values = {key: value for key, value in one.items() if key in names}
        numbers = values.get("migrations")
        mine = None if numbers is None else tuple(migrations[number] for number in numbers)
        found.append(Known(**{**values, "migrations": mine, "tool": tool(values.get("tool"))}))
    return tuple(found)


def migration(values: Mapping[str, Any]) -> Migration:
    findings = tuple(Finding(**found) for found in values.get("findings", ()))
    return Migration(values["name"], values["sha256"], findings)


def tool(values: Mapping[str, Any] | None) -> Tool:
    return Tool(**values) if values else Tool()
