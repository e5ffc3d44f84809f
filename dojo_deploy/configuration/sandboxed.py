"""`sandbox: {hosts: 3}` as a whole inventory: the embedded fleet says what stands in its place."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dojo_deploy.configuration.bind import bind
from dojo_deploy.configuration.document import read
from dojo_deploy.configuration.problems import located, problem
from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError

SHAPES: Mapping[str, type[object]] = {"hosts": int, "app": str, "home": str, "store": str}


def sandbox_options(path: str | Path) -> Mapping[str, Any] | None:
    """What stands under `sandbox:`; None for an inventory of real hosts. Raises ConfigError."""
    node = read(Path(path))
    return _options(node) if "sandbox" in node.entries else None


def with_sandbox(node: Node, file: Path) -> Node:
    """The inventory of the fleet that is up, for a node that asks for it; any other as it is. Raises ConfigError."""
    if "sandbox" not in node.entries:
        return node
    sandbox, options = node.at("sandbox"), _options(node)
    try:
        module = importlib.import_module("dojo_deploy.sandbox.inventory")
        return Node.of(module.document(file, options), file=str(file))
    except ImportError as exc:
        raise problem(sandbox, ("sandbox",), f"needs {exc.name}; pip install 'dojo-deploy[sandbox]'") from exc
    except (ConfigError, TypeError, ValueError) as exc:
        # Its own kinds of error mean something to the caller: `deploy` brings up a fleet that is down.
        if isinstance(exc, ConfigError) and type(exc) is not ConfigError:
            raise
        error = exc if isinstance(exc, ConfigError) else ConfigError(str(exc))
        raise located(error, sandbox, ("sandbox",)) from exc


def _options(node: Node) -> Mapping[str, Any]:
    others = [key for key in node.entries if key != "sandbox"]
    if others:
        raise problem(node.at(others[0]), (others[0],), "cannot stand beside `sandbox`, which is a whole inventory")
    sandbox = node.at("sandbox")
    if sandbox.value is None:
        return {}
    if not isinstance(sandbox.value, Mapping):
        raise problem(sandbox, ("sandbox",), "wants a mapping like {hosts: 3}")
    for key, option in sandbox.entries.items():
        bind(option, SHAPES.get(key, object), path=("sandbox", key))
    options: dict[str, Any] = sandbox.plain()
    return options
