"""Frozen dataclasses -> the plain data that binds to equal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from dojo_deploy.configuration import wants
from dojo_deploy.configuration.resolve import FAMILIES, name_of
from dojo_deploy.secrets import Secret


def unbind(value: Any, want: Any = object) -> Any:
    """What `bind` makes an equal `value` of; every field is written, so that a later default changes nothing."""
    if isinstance(value, Secret):
        return value.as_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value, want)
    if isinstance(value, Mapping):
        item = _last_argument(want)
        return {key: unbind(inner, item) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        item = next((arg for arg in get_args(want) if arg is not Ellipsis), object)
        return [unbind(inner, item) for inner in value]
    return value


def _dataclass(value: Any, want: Any) -> dict[str, Any]:
    arms = get_args(want) if wants.is_union(want) else (want,)
    family = next((FAMILIES[arm] for arm in arms if arm in FAMILIES), "")
    plain = {"kind": name_of(family, type(value))} if family else {}
    hints = wants.hints(type(value))
    for item in fields(value):
        if item.init:
            inner = unbind(getattr(value, item.name), hints[item.name])
            plain.update(inner if item.metadata.get("rest") else {item.name: inner})
    return plain


def _last_argument(want: Any) -> Any:
    arms = get_args(want) if wants.is_union(want) else (want,)
    mapping = next((arm for arm in arms if wants.is_mapping(arm)), None)
    return (get_args(mapping) or (object,))[-1] if mapping else object
