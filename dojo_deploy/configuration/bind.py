"""A tree -> frozen dataclasses, whose fields are the schema; and back to plain data.

A field with `metadata={"rest": True}` takes all keys that the class does not name: into a mapping, or, when it is a
dataclass itself, as the keys of that class. One with `metadata={"path": True}` names a file of this machine: a relative
one lies in its node's folder.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin

from dojo_deploy.configuration import wants
from dojo_deploy.configuration.problems import Gathering, Path, located, problem, quoted, suggestion
from dojo_deploy.configuration.resolve import FAMILIES, family_module, is_outside, kinds_of, resolve
from dojo_deploy.configuration.scalars import duration
from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError
from dojo_deploy.secrets import Secret, beside_folder

T = TypeVar("T")


def bind(node: object, cls: type[T], *, path: Path = ()) -> T:
    """A `cls` from a node, or from plain data. `path` leads to it, for messages.

    Raises ConfigError: one error, or as many lines as there are (five at most), each with file, line and key.
    """
    return cast("T", _value(Node.of(node), cls, path))


def _value(node: Node, want: Any, path: Path) -> Any:
    if want is Any or want is object:
        return node.plain()
    if want is Node:
        return node
    if wants.is_union(want):
        return _union(node, get_args(want), path)
    if want in FAMILIES:
        return _kind(node, want, path)
    if want is Secret:
        return _secret(node, path)
    if get_origin(want) is tuple or want is tuple:
        return _sequence(node, want, path)
    if wants.is_mapping(want):
        return _mapping(node, want, path)
    if isinstance(want, type) and is_dataclass(want):
        return _dataclass(node, want, path)
    if wants.accepts(want, node.value):
        return duration(node.value) if want is float and isinstance(node.value, str) else _exactly(want, node.value)
    raise problem(node, path, wants.complaint(want, node))


def _exactly(want: Any, value: Any) -> Any:
    return float(value) if want is float else value


def _union(node: Node, arms: tuple[Any, ...], path: Path) -> Any:
    if node.value is None and NoneType in arms:
        return None
    arms = tuple(arm for arm in arms if arm is not NoneType)
    chosen = arms[0] if len(arms) == 1 else next((arm for arm in arms if wants.accepts(arm, node.value)), None)
    if chosen is None:
        raise problem(node, path, wants.complaint(arms, node))
    return _value(node, chosen, path)


def _secret(node: Node, path: Path) -> Secret:
    # Whatever stands here may be the secret itself: the messages name keys only, never a value.
    example = "write where it is: {env: NAME}, {file: PATH}, {cmd: COMMAND} or {aws: ID}"
    if not isinstance(node.value, Mapping) or len(node.value) != 1:
        raise problem(node, path, f"a secret is never written here; {example}")
    ((source, name),) = node.value.items()
    if source not in Secret.SOURCES:
        raise problem(name, (*path, source), f"not where a secret can be; {suggestion(source, Secret.SOURCES)}")
    if not isinstance(name.value, str) or not name.value:
        raise problem(name, (*path, source), "wants the name as text")
    return Secret(source, name.value, folder=node.folder)


def _sequence(node: Node, want: Any, path: Path) -> tuple[Any, ...]:
    if not isinstance(node.value, tuple):
        raise problem(node, path, wants.complaint(want, node))
    item_want, gathering, items = (get_args(want) or (Any,))[0], Gathering(), []
    for number, item in enumerate(node.value):
        with gathering.part():
            items.append(_value(item, item_want, (*path, f"[{number}]")))
    gathering.end()
    return tuple(items)


def _mapping(node: Node, want: Any, path: Path) -> dict[str, Any]:
    if not isinstance(node.value, Mapping):
        raise problem(node, path, wants.complaint(want, node))
    item_want, gathering, values = (get_args(want) or (str, Any))[1], Gathering(), {}
    for key, item in node.value.items():
        with gathering.part():
            values[key] = _value(item, item_want, (*path, key))
    gathering.end()
    return values


def _kind(node: Node, interface: type, path: Path) -> Any:
    family = FAMILIES[interface]
    if isinstance(node.value, str):
        with_kind = _shorthand(node, node.value, family, path)
    elif isinstance(node.value, Mapping):
        with_kind = node
    else:
        raise problem(node, path, wants.complaint(interface, node))
    kind = with_kind.entries.get("kind")
    if kind is None or not isinstance(kind.value, str):
        raise problem(kind or node, (*path, "kind"), f"is missing; {suggestion('', kinds_of(family))}")
    try:
        cls = resolve(family, kind.value)
    except ConfigError as exc:
        raise located(exc, kind, path if isinstance(node.value, str) else (*path, "kind")) from exc
    return _dataclass(with_kind.without("kind"), cls, path)


def _shorthand(node: Node, text: str, family: str, path: Path) -> Node:
    found: Mapping[str, object] = {"kind": text}
    spell = getattr(family_module(family), "shorthand", None)
    if spell and text not in kinds_of(family) and not is_outside(text):
        try:
            found = spell(text) or found
        except (ConfigError, ValueError) as exc:
            raise located(_as_config_error(exc), node, path) from exc
    lines = {key: replace(Node.of(item, file=node.file), line=node.line) for key, item in found.items()}
    return Node(lines, node.file, node.line, node.column).within(node.folder)


def _dataclass(node: Node, cls: type[Any], path: Path, *, beside: tuple[str, ...] = ()) -> Any:
    if not isinstance(node.value, Mapping):
        raise problem(node, path, wants.complaint(cls, node))
    settable = [item for item in fields(cls) if item.init]
    rest = next((item for item in settable if item.metadata.get("rest")), None)
    named = [item for item in settable if item is not rest]
    try:
        hints = wants.hints(cls)
    except NameError as exc:
        raise problem(node, path, f"{cls.__name__} cannot be described in a file: {exc}") from exc
    gathering, values = Gathering(), {}
    others = node.without(*(item.name for item in named))
    if rest is None:
        for key, item in others.entries.items():
            known = (*beside, *wants.keys_of(cls))
            gathering.found.append(problem(item, (*path, key), f"unknown key; {suggestion(key, known)}"))
    else:
        with gathering.part():
            values[rest.name] = _rest(others, hints[rest.name], path, wants.keys_of(cls))
    for field in named:
        with gathering.part():
            if field.name in node.value:
                value = _value(node.value[field.name], hints[field.name], (*path, field.name))
                values[field.name] = beside_folder(node.folder, value) if field.metadata.get("path") else value
            elif _is_required(field):
                raise problem(node, (*path, field.name), f"is missing; {wants.description(hints[field.name])}")
    gathering.end()
    return _made(node, cls, values, path)


def _rest(node: Node, want: Any, path: Path, beside: tuple[str, ...]) -> Any:
    if isinstance(want, type) and is_dataclass(want):
        return _dataclass(node, want, path, beside=beside)
    return _value(node, want, path)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _made(node: Node, cls: type[Any], values: Mapping[str, Any], path: Path) -> Any:
    try:
        made = cls(**values)
        check = getattr(made, "check", None)
        # A probe's `check` asks a target; ours takes nothing.
        if callable(check) and not inspect.signature(check).parameters:
            check()
    except (ConfigError, ValueError) as exc:
        error = _as_config_error(exc)
        raise located(error, node.at(*error.key.split(".")) if error.key else node, path) from exc
    return made


def _as_config_error(exc: ConfigError | ValueError) -> ConfigError:
    return exc if isinstance(exc, ConfigError) else ConfigError(str(exc) or quoted(type(exc).__name__))
