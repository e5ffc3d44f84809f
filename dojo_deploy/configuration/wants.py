"""What an annotation asks of a file: whether a value fits it, and how to say so when it does not."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dojo_deploy import interfaces
from dojo_deploy.configuration.problems import quoted, suggestion
from dojo_deploy.configuration.resolve import FAMILIES, kinds_of
from dojo_deploy.configuration.scalars import duration, remedy
from dojo_deploy.configuration.tree import Node
from dojo_deploy.secrets import Secret

WORDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number like 3",
    float: "a number of seconds, or a duration like 30s, 10m or 1h30m",
    bool: "true or false",
    Secret: "a reference like {env: NAME}",
    Node: "a mapping like {web: [web1, web2]}",
}


def hints(cls: type[Any]) -> Mapping[str, Any]:
    """The field types of `cls`; the seams are known even where a module imports them for the type checker only."""
    names: dict[str, Any] = {**vars(interfaces), "Secret": Secret, "Mapping": Mapping}
    for base in reversed(cls.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return get_type_hints(cls, localns=names)


def keys_of(cls: type[Any]) -> tuple[str, ...]:
    """The keys that a file may give for `cls`, but for those of its rest."""
    return tuple(item.name for item in fields(cls) if item.init and not item.metadata.get("rest"))


def is_union(want: Any) -> bool:
    return get_origin(want) in (Union, UnionType)


def is_mapping(want: Any) -> bool:
    origin = get_origin(want) or want
    return isinstance(origin, type) and issubclass(origin, Mapping)


def accepts(want: Any, value: Any) -> bool:
    """Whether the outermost shape of `value` fits."""
    if is_union(want):
        return any(accepts(arm, value) for arm in get_args(want))
    if get_origin(want) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(want))
    if want in FAMILIES:
        return isinstance(value, str | Mapping)
    if want is Secret or is_mapping(want) or (isinstance(want, type) and is_dataclass(want)):
        return isinstance(value, Mapping)
    if want is tuple or get_origin(want) is tuple:
        return isinstance(value, tuple)
    if want is float:
        seconds = duration(value) if isinstance(value, str) else value
        return isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0
    return want in (Any, object) or (want in (str, int, bool, NoneType) and type(value) is want)


def complaint(want: Any, node: Node) -> str:
    """`wants a whole number like 3, got the text "five"`, with what to type where that is plain."""
    arms = want if isinstance(want, tuple) else (want,)
    # Where a secret may stand, what stands there may be one.
    got = _kind_of(node) if Secret in arms else described(node)
    text = f"wants {' or '.join(description(arm) for arm in arms)}, got {got}"
    advice = _advice(arms, node)
    return f"{text}; {advice}" if advice else text


def description(want: Any) -> str:
    """`text`, `a list like [a, b]`, …"""
    if want in FAMILIES:
        return f"a kind ({', '.join(kinds_of(FAMILIES[want]))}), or a mapping with `kind` and its keys"
    if is_union(want):
        return " or ".join(description(arm) for arm in get_args(want) if arm is not NoneType)
    if get_origin(want) is Literal:
        return "one of: " + ", ".join(str(choice) for choice in get_args(want))
    if want is tuple or get_origin(want) is tuple:
        return "a list like [a, b]"
    if is_mapping(want):
        return "a mapping like {name: value}"
    if isinstance(want, type) and is_dataclass(want) and want is not Secret:
        return f"a mapping with keys of {', '.join(keys_of(want))}"
    return WORDS.get(want, f"what no file can give ({want})")


def described(node: Node) -> str:
    """`the text "five"`, `the number 5`, `a list`, …"""
    if isinstance(node.value, str):
        return f"the text {quoted(node.value)}"
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    return f"the number {node.text[:40]}" if isinstance(node.value, int | float) else _kind_of(node)


def _kind_of(node: Node) -> str:
    shapes = {NoneType: "nothing", bool: "true or false", str: "text", int: "a number", float: "a number"}
    fallback = "a list" if isinstance(node.value, tuple) else "a mapping"
    return shapes.get(type(node.value), fallback)


def _advice(arms: tuple[Any, ...], node: Node) -> str:
    value = node.value
    if str in arms and isinstance(value, int | float):
        return "put it in quotes" if Secret in arms else f'write "{node.text}"'
    if isinstance(value, str):
        if any(get_origin(arm) is tuple for arm in arms):
            return f"write [{value}]" if re.fullmatch(r"[A-Za-z][\w./-]{0,40}", value) else f"write [{quoted(value)}]"
        choices = [str(choice) for arm in arms if get_origin(arm) is Literal for choice in get_args(arm)]
        near = suggestion(value, choices) if choices else ""
        return next((advice for arm in arms if (advice := remedy(value, arm))), near if "mean" in near else "")
    if isinstance(value, int | float) and any(get_origin(arm) is tuple for arm in arms):
        return f"write [{node.text}]"
    return ""
