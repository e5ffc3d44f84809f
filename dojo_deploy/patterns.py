"""Hosts as people write them, Ansible's way: ranges in the inventory, patterns after `--limit`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

from dojo_deploy.errors import ConfigError


def expand(text: str) -> tuple[str, ...]:
    """Host ranges as Ansible writes them: `web[01:04].example.org`, `db[a:c]`, `web[1:9:2]`; both ends are included."""
    found = re.search(r"\[([0-9]+|[a-zA-Z]):([0-9]+|[a-zA-Z])(?::([1-9][0-9]*))?\]", text)
    if not found:
        if "[" in text or "]" in text:
            raise ConfigError(f"{text!r} is not a host range", hint="web[01:04].example.org")
        return (text,)
    first, last, step = found[1], found[2], int(found[3] or 1)
    if first.isdigit() != last.isdigit() or (first.isdigit() and len(first) > len(last)):
        raise ConfigError(f"{text!r} is not a host range", hint="web[01:04].example.org")
    if first.isdigit():
        values = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1, step)]
    else:
        values = [chr(code) for code in range(ord(first), ord(last) + 1, step)]
    if not values:
        raise ConfigError(f"{text!r} is an empty host range", hint="the first end comes first: [01:04]")
    head, tail = text[: found.start()], text[found.end() :]
    return tuple(head + value + rest for value in values for rest in expand(tail))


def matching(pattern: str, hosts: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], where: str) -> set[str]:
    """Names of `hosts` that `pattern` stands for. Raises ConfigError, naming `where`, when a part matches nothing."""
    # Exclusions and intersections come last whatever their place, as in Ansible.
    parts = [part.strip() for part in re.split(r"[,:]", pattern) if part.strip()]
    plain = [part for part in parts if part[0] not in "&!"]
    chosen = set().union(*(_match(part, hosts, groups, where) for part in plain)) if plain else set(hosts)
    for part in parts:
        if part[0] == "&":
            chosen &= _match(part[1:], hosts, groups, where)
    for part in parts:
        if part[0] == "!":
            chosen -= _match(part[1:], hosts, groups, where)
    return chosen


def _match(part: str, hosts: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], where: str) -> set[str]:
    if part == "all":
        return set(hosts)
    if part.startswith("~"):
        try:
            found = {name for name in hosts if re.search(part[1:], name)}
        except re.error as exc:
            raise ConfigError(f"--limit: {part!r} is no regular expression: {exc}", where=where) from exc
    else:
        found = {name for name in hosts if fnmatch.fnmatchcase(name, part)}
        for group, members in groups.items():
            if fnmatch.fnmatchcase(group, part):
                found |= set(members)
    if not found:
        raise ConfigError(f"--limit: {part!r} is no host and no group", where=where, hint=f"hosts: {', '.join(hosts)}")
    return found
