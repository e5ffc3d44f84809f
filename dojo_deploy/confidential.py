"""Which values of an inventory must be shown to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.secrets import Redactor, Secret
from dojo_deploy.steps.releases import parse_env

# An env file holds settings beside secrets. Masked as well, these would hide half of every line and keep nothing.
ORDINARY = re.compile(
    r"true|false|null|none|yes|debug|info|warn|warning|error|trace|production|development|staging|test"
    r"|localhost|127\.0\.0\.1|0\.0\.0\.0|\d{1,5}",
    re.IGNORECASE,
)


def confidential(inventory: Inventory, *, readable: bool = False) -> set[str]:
    """The value of every reference, and what the env file holds that the inventory does not itself say in clear.

    Raises ConfigError for a secret that cannot be read, unless only those that are `readable` are asked for.
    """
    known: dict[Secret, str] = {}
    for secret in _secrets(inventory):
        try:
            known[secret] = secret.reveal()
        except ConfigError:
            if not readable:
                raise
    values = set(known.values())
    if inventory.app.env_file in known:
        held = set(parse_env(known[inventory.app.env_file]).values())
        plain = {*_words(inventory.document), inventory.app.environment, inventory.app.name, *inventory.hosts}
        values |= {value for value in held if value not in plain and not ORDINARY.fullmatch(value)}
    return values


def redactor(inventory: Inventory) -> Redactor:
    """Masks them. Raises ConfigError for a secret that cannot be read."""
    return Redactor(confidential(inventory))


def _words(value: object) -> Iterator[str]:
    """Every text and number of the document, keys too."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key)
            yield from _words(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _words(part)
    else:
        yield str(value)


def _secrets(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _secrets(getattr(value, item.name))
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _secrets(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _secrets(part)
