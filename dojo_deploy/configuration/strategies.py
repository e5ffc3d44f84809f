"""A strategy: its file, the inventory's settings for it, and `--set`, laid over each other and bound to its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dojo_deploy.configuration.bind import bind
from dojo_deploy.configuration.document import parse_value, read
from dojo_deploy.configuration.finding import stems
from dojo_deploy.configuration.problems import located, problem, quoted, suggestion
from dojo_deploy.configuration.resolve import is_outside, kinds_of, name_of, resolve
from dojo_deploy.configuration.tree import Node
from dojo_deploy.configuration.unbind import unbind
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import Inventory
from dojo_deploy.naming import find_file


def load_strategy(name: str, inventory: Inventory, *, overrides: Mapping[str, str] | None = None) -> Strategy:
    """The strategy that `name` means: a path, `rolling` for `strategies/rolling.yml`, a kind, or `module:Class`.

    Over the file come `strategies.NAME` of the inventory, then `overrides` (`bake.first` -> `3s`). Raises ConfigError.
    """
    folders = strategy_folders(inventory)
    file = None if is_outside(name) else find_file(name, folders)
    if file:
        node, settings = read(file), file.stem
    elif is_outside(name) or name in kinds_of("strategies"):
        node, settings = Node({"strategy": Node(name)}, inventory.path), name
    else:
        known = sorted({*stems(folders), *kinds_of("strategies")})
        raise ConfigError(f"no strategy {quoted(name)}; {suggestion(name, known)}", key="strategy")
    kind = node.entries.get("strategy", Node(settings, node.file, node.line))
    keys = node.without("strategy")
    if settings in inventory.strategies:
        keys = _laid(keys, inventory.strategies[settings], inventory.path, ("strategies", settings))
    for key, text in (overrides or {}).items():
        keys = keys.with_entry(tuple(key.split(".")), _override(key, text))
    return _bound(kind, keys)


def strategy_document(strategy: Strategy) -> dict[str, Any]:
    """Plain data that `strategy_from_document` makes an equal strategy of; secrets stay references."""
    return {"strategy": name_of("strategies", type(strategy)), **unbind(strategy)}


def strategy_from_document(document: Mapping[str, object], *, where: str = "") -> Strategy:
    """The strategy whose document this is; `where` names its origin in errors. Raises ConfigError."""
    node = Node.of(document, file=where)
    if "strategy" not in node.entries:
        raise problem(node, ("strategy",), "is missing")
    return _bound(node.at("strategy"), node.without("strategy"))


def strategy_folders(inventory: Inventory) -> list[Path]:
    """Where strategy files lie: beside the inventory's folder, then below the current one."""
    beside = Path(inventory.path).parent.parent / "strategies" if inventory.path else Path("strategies")
    return [beside, Path("strategies")]


def _laid(keys: Node, settings: Mapping[str, object], file: str, path: tuple[str, ...]) -> Node:
    over = Node.of(settings, file=": ".join(part for part in (file, ".".join(path)) if part))
    return over.over(keys)


def _override(key: str, text: str) -> Node:
    if not all(key.split(".")):
        raise ConfigError(f"{quoted(key)} is no key", where="--set", hint="--set bake.first=3s")
    if not text.strip():
        return Node("", "--set")
    try:
        parsed = parse_value(text, file="--set")
    except ConfigError as exc:
        raise ConfigError(exc.message.partition(": ")[2], where="--set", key=key) from exc
    scalar = not isinstance(parsed.value, tuple | Mapping)
    return replace(parsed, line=0) if scalar else Node.of(parsed.plain(), file="--set")


def _bound(kind: Node, keys: Node) -> Strategy:
    if not isinstance(kind.value, str):
        raise problem(kind, ("strategy",), f"wants a name; {suggestion('', kinds_of('strategies'))}")
    try:
        cls = resolve("strategies", kind.value)
    except ConfigError as exc:
        raise located(exc, kind, ("strategy",)) from exc
    return cast("Strategy", bind(keys, cls))
