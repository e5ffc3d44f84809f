"""`nginx` or `package.module:Class` -> the class: one resolver for our own kinds and for those of others."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any

from dojo_deploy import interfaces
from dojo_deploy.configuration.problems import quoted, suggestion
from dojo_deploy.errors import ConfigError

FAMILIES: Mapping[type, str] = {
    interfaces.ProcessManager: "processes",
    interfaces.Balancer: "balancers",
    interfaces.StoreKind: "stores",
    interfaces.Probe: "probes",
    interfaces.Database: "databases",
    interfaces.Notifier: "notifiers",
    interfaces.Strategy: "strategies",
}
OUTSIDE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def resolve(family: str | Mapping[str, str], name: str) -> type[Any]:
    """The dataclass that `name` stands for in a family such as `balancers`, or in a table of import strings.

    Raises ConfigError for an unknown kind, a module or class that is not there, or a class that lacks what the family
    must do.
    """
    kinds = kinds_of(family) if isinstance(family, str) else family
    if name not in kinds and not OUTSIDE.fullmatch(name):
        raise ConfigError(f"unknown kind {quoted(name)}; {suggestion(name, kinds)}")
    found = _imported(kinds.get(name, name))
    if isinstance(family, str):
        _refuse_unfit(found, family)
    return found


def kinds_of(family: str) -> Mapping[str, str]:
    """The family's table of import strings."""
    table: Mapping[str, str] = family_module(family).KINDS
    return table


def family_module(family: str) -> ModuleType:
    return _module(f"dojo_deploy.{family}")


def is_outside(name: str) -> bool:
    """Whether it is written as `package.module:Class`."""
    return OUTSIDE.fullmatch(name) is not None


def name_of(family: str, cls: type[Any]) -> str:
    """The name that resolves to `cls`: its kind, or `module:Class`."""
    text = f"{cls.__module__}:{cls.__qualname__}"
    # A kind that is a folder of files names its class where it is found, not where it is written.
    named = (kind for kind, target in kinds_of(family).items() if target.endswith(f":{cls.__qualname__}"))
    return next((kind for kind in named if _imported(kinds_of(family)[kind]) is cls), text)


def _imported(target: str) -> type[Any]:
    module_name, _, class_name = target.partition(":")
    module = _module(module_name)
    found = getattr(module, class_name, None)
    if found is None:
        names = [name for name, value in vars(module).items() if isinstance(value, type) and is_dataclass(value)]
        raise ConfigError(f"{module_name} has no class {class_name}; {suggestion(class_name, names)}")
    if not (isinstance(found, type) and is_dataclass(found)):
        raise ConfigError(f"{target} is no dataclass, so a file cannot describe it")
    return found


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing = exc.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigError(f"there is no module {name}; is its folder on PYTHONPATH?") from exc
        raise ConfigError(f"{name} needs the Python package {missing}, which is not installed") from exc
    except Exception as exc:
        # Somebody else's module runs here; whatever it raises, the file that names it is where to look first.
        raise ConfigError(f"{name} cannot be imported: {type(exc).__name__}: {exc}") from exc


def _refuse_unfit(found: type[Any], family: str) -> None:
    interface = next(interface for interface, name in FAMILIES.items() if name == family)
    duties = [name for name, value in vars(interface).items() if callable(value) and not name.startswith("_")]
    missing = [name for name in duties if not callable(getattr(found, name, None))]
    if missing:
        raise ConfigError(f"{found.__name__} is no {interface.__name__}: it has no {', '.join(missing)}")
