"""A value from a file that still knows where it stood."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dojo_deploy.errors import ConfigError
from dojo_deploy.secrets import Secret

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Node:
    """`line` is that of the key for a value in a mapping; 0 for data that came from no text."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    file: str = ""
    line: int = 0
    column: int = 0
    text: str = ""  # a scalar as it was written, without its quotes
    folder: str = ""  # that relative files named here lie in; empty: the current one

    @classmethod
    def of(cls, plain: object, *, file: str = "") -> Node:
        """A tree from plain data such as JSON. Raises ConfigError for anything that no file could hold."""
        if isinstance(plain, Node):
            return plain
        if isinstance(plain, Secret):
            plain = plain.as_dict()
        if isinstance(plain, Mapping):
            return cls({str(key): cls.of(item, file=file) for key, item in plain.items()}, file)
        if isinstance(plain, list | tuple):
            return cls(tuple(cls.of(item, file=file) for item in plain), file)
        if plain is None or isinstance(plain, str | int) or (isinstance(plain, float) and math.isfinite(plain)):
            return cls(plain, file, text=plain if isinstance(plain, str) else json.dumps(plain))
        raise ConfigError(f"a {type(plain).__name__} cannot be part of a configuration", where=file)

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line and self.file else self.file

    @property
    def entries(self) -> Mapping[str, Node]:
        """The pairs of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    def at(self, *keys: str) -> Node:
        """The node under `keys`, or the last one on the way there."""
        node = self
        for key in keys:
            node = node.entries.get(key, node)
        return node

    def plain(self) -> Any:
        """Without positions: what `json` can write."""
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value

    def with_entry(self, path: tuple[str, ...], leaf: Node) -> Node:
        """With `leaf` at `path`; what is on the way and is no mapping is replaced by one."""
        if not path:
            return leaf
        inner = self.entries.get(path[0], replace(leaf, value={}, text=""))
        return replace(self, value={**self.entries, path[0]: inner.with_entry(path[1:], leaf)}, text="")

    def without(self, *keys: str) -> Node:
        return replace(self, value={key: item for key, item in self.entries.items() if key not in keys})

    def within(self, folder: str) -> Node:
        """The same tree, all of whose relative files lie in `folder`."""
        value = self.value
        if isinstance(value, Mapping):
            value = {key: item.within(folder) for key, item in value.items()}
        elif isinstance(value, tuple):
            value = tuple(item.within(folder) for item in value)
        return replace(self, value=value, folder=folder)

    def over(self, base: Node) -> Node:
        """Laid over `base`: mappings merge key by key, all else replaces."""
        if not (isinstance(self.value, Mapping) and isinstance(base.value, Mapping)) or self._stands_alone(base):
            return self
        merged = dict(base.value)
        for key, item in self.value.items():
            merged[key] = item.over(merged[key]) if key in merged else item
        return replace(self, value=merged)

    def _stands_alone(self, base: Node) -> bool:
        # Keys of another kind, or a second place to find a secret, would only be wrong here.
        ours, theirs = self.entries, base.entries
        if len(ours) == 1 and len(theirs) == 1 and {*ours, *theirs} <= set(Secret.SOURCES):
            return True
        return "kind" in ours and "kind" in theirs and ours["kind"].value != theirs["kind"].value
