"""What a class asks of its section of a file, field by field: the reference that the classes are."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from dojo_deploy.configuration import wants
from dojo_deploy.configuration.unbind import unbind
from dojo_deploy.plan import Target


@dataclass(frozen=True)
class Key:
    """One key that a file may give; dotted, where it is a section's own. `default` is plain data."""

    name: str
    type: str
    unit: str = ""
    default: Any = None
    is_required: bool = False


@dataclass(frozen=True)
class Description:
    """One strategy, or any other class that a file describes."""

    name: str
    target: str  # module:Class
    text: str
    keys: tuple[Key, ...]


def describe(name: str, cls: type[Any]) -> Description:
    """Raises NameError for a class whose annotations nobody can resolve."""
    text = inspect.getdoc(cls) or ""
    # What dataclasses make up when nobody wrote anything.
    text = "" if text.startswith(f"{cls.__name__}(") else text
    return Description(name, f"{cls.__module__}:{cls.__qualname__}", text, tuple(_keys(cls, "")))


def _keys(cls: type[Any], before: str, given: object = None) -> Iterator[Key]:
    """`given`: the section that holds where a file says nothing; its values are the defaults."""
    hints = wants.hints(cls)
    for item in fields(cls):
        want, name = hints[item.name], f"{before}{item.name}"
        section = _section(want)
        if not item.init or item.metadata.get("rest") or section is Target:  # a gate is aimed by its strategy
            continue
        if section is None:
            unit = "seconds" if want is float else ""
            default = _default(item, want) if given is None else unbind(getattr(given, item.name), want)
            yield Key(name, _type(want), unit, default, given is None and _is_required(item))
        elif section is want:
            yield from _keys(section, f"{name}.", _given(item, given))
        else:
            is_list = get_origin(want) is tuple
            yield Key(name, "a list of sections" if is_list else "a section", "", _default(item, want))
            yield from _keys(section, f"{name}[]." if is_list else f"{name}.")


def _section(want: Any) -> type[Any] | None:
    """The dataclass of a section, also of an optional one, or of each in a list."""
    arms = [arm for arm in (get_args(want) if wants.is_union(want) else (want,)) if arm is not NoneType]
    for arm in arms:
        inner = get_args(arm)[0] if get_origin(arm) is tuple else arm
        if isinstance(inner, type) and is_dataclass(inner):
            return inner
    return None


def _type(want: Any) -> str:
    return "a duration like 10m" if want is float else wants.description(want)


def _default(item: Field[Any], want: Any) -> Any:
    if item.default is not MISSING:
        return unbind(item.default, want)
    return unbind(item.default_factory(), want) if item.default_factory is not MISSING else None


def _given(item: Field[Any], given: object) -> object:
    if given is not None:
        return getattr(given, item.name)
    return item.default if item.default is not MISSING else None


def _is_required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING
