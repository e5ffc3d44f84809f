"""YAML -> values, strictly; the public face of `dojo_deploy.configuration`.

Everything raises ConfigError, a line per problem: file, line, key, what was found, what is wanted, and the near miss.
"""

from dojo_deploy.configuration.bind import bind
from dojo_deploy.configuration.document import parse, read
from dojo_deploy.configuration.finding import find_inventory
from dojo_deploy.configuration.inventories import inventory_from_document, load_inventory
from dojo_deploy.configuration.resolve import resolve
from dojo_deploy.configuration.sandboxed import sandbox_options
from dojo_deploy.configuration.scalars import duration
from dojo_deploy.configuration.strategies import (
    load_strategy,
    strategy_document,
    strategy_folders,
    strategy_from_document,
)
from dojo_deploy.configuration.unbind import unbind

__all__ = [
    "bind",
    "duration",
    "find_inventory",
    "inventory_from_document",
    "load_inventory",
    "load_strategy",
    "parse",
    "read",
    "resolve",
    "sandbox_options",
    "strategy_document",
    "strategy_folders",
    "strategy_from_document",
    "unbind",
]
