"""What is known of a backup: written last, by whoever made it, and of a drill: the proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from dojo_deploy.errors import DamagedError


@dataclass(frozen=True)
class Part:
    """One stored object, as it was streamed."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """One backup. Times are UTC; `rows` are those of the dump's own snapshot, table by table.

    As secret as its dump: `properties` has the settings of the database and its roles, in which people keep secrets.
    """

    id: str
    database: str
    identity: str  # of the cluster
    server: str
    client: str
    began: str
    seconds: float  # until it was verified
    by: str
    release: str = ""  # that was in service
    live_size: int = 0  # of the database itself
    format: str = "custom"  # of the dump
    dump: Part = Part(0, "")
    globals: Part = Part(0, "")
    rows: Mapping[str, int] = field(default_factory=dict)
    constraints: int = 0
    indexes: int = 0
    migrations: tuple[Mapping[str, Any], ...] = ()
    role_passwords: bool = False
    properties: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the database itself: owner, locale, grants, settings

    def encoded(self) -> bytes:
        return _encoded(self)

    @classmethod
    def decoded(cls, data: bytes) -> Manifest:
        """Raises DamagedError for what is no manifest."""
        values = _decoded(cls, data, format="custom")  # the only one, before there was another
        parts = {name: Part(**values[name]) for name in ("dump", "globals")}
        return cls(**{**values, **parts, "migrations": tuple(values["migrations"])})


@dataclass(frozen=True)
class Proof:
    """A drill's outcome. Empty `wrong`: what came back was what had been there."""

    backup: str
    at: str
    seconds: float
    by: str
    sha256: str
    rows: Mapping[str, int] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        return _encoded(self)

    @classmethod
    def decoded(cls, data: bytes) -> Proof:
        """Raises DamagedError for what is no proof."""
        values = _decoded(cls, data)
        return cls(**{**values, "wrong": tuple(values.get("wrong", ()))})


def _encoded(value: Any) -> bytes:
    return json.dumps(asdict(value), indent=1, ensure_ascii=False).encode() + b"\n"


def _decoded(cls: type[Any], data: bytes, **known: str) -> dict[str, Any]:
    try:
        values = known | json.loads(data)
        return {item.name: values[item.name] for item in fields(cls)}
    except (ValueError, KeyError, TypeError) as exc:
        raise DamagedError(f"what is stored is no {cls.__name__.lower()}: {exc!r}") from exc
