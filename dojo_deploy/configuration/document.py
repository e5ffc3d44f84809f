"""Text -> a tree of nodes with their lines; the one place that knows YAML. All that surprises in YAML is refused.

No anchors, aliases, merge keys or tags, no duplicate keys, one document, keys are text; bounded in size and depth.
JSON is accepted as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dojo_deploy.configuration.problems import dotted, quoted
from dojo_deploy.configuration.scalars import scalar
from dojo_deploy.configuration.tree import Node
from dojo_deploy.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 50_000


def read(path: Path) -> Node:
    """The mapping that a file holds. Raises ConfigError, also for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot be read: {getattr(exc, 'strerror', None) or exc}", where=str(path)) from exc
    return parse(data, file=str(path))


def parse(data: bytes | str, *, file: str) -> Node:
    """The mapping that `data` holds; `file` names it in errors."""
    node = parse_value(data, file=file)
    if isinstance(node.value, dict):
        return node
    found = "is empty" if node.value is None else "holds a list" if isinstance(node.value, tuple) else "holds one text"
    raise ConfigError(f"{found}; a file is a mapping, lines of `key: value`", where=node.where or file)


def parse_value(data: bytes | str, *, file: str) -> Node:
    """Any YAML value."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 20} MiB", where=file)
    text = _decoded(data, file) if isinstance(data, bytes) else data
    try:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader), file).document()
    except yaml.YAMLError as exc:
        raise _explained(exc, text, file) from exc
    except (ValueError, OverflowError, IndexError) as exc:
        # PyYAML lets these out for "\UFFFFFFFF" and `%YAML 9…9`.
        raise ConfigError(f"not YAML: {exc}", where=file) from exc


class _Composer:
    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events = events
        self._file = file
        self._nodes = 0

    def document(self) -> Node:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Node(None, self._file)
        node = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._error(after, (), "a second document; one file holds one")
        return node

    def _node(self, event: Any, path: tuple[str, ...], key: Any = None) -> Node:
        self._check(event, path)
        mark = (key or event).start_mark
        at = (self._file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(path), *at)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(path), *at)
        text = self._text(event, path)
        return Node(scalar(text) if event.implicit[0] else text, *at, text=text)

    def _check(self, event: Any, path: tuple[str, ...]) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise self._error(
                event, path, f"anchors and aliases ({sign}{event.anchor[:40]}) are not read here; write the value out"
            )
        if event.tag is not None:
            raise self._error(event, path, f"the tag {quoted(event.tag)} is not read here; leave it out")
        if len(path) > MAX_DEPTH:
            raise self._error(event, path[:3], f"nested deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise self._error(event, (), f"more than {MAX_NODES} values")

    def _mapping(self, path: tuple[str, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._check(event, path)
                raise self._error(event, path, "a key must be a word; put text that starts with [ or { in quotes")
            self._check(event, path)
            key = self._text(event, path)
            inner = (*path, key)
            if not key:
                raise self._error(event, path, "an empty key")
            if key == "<<" and event.implicit[0]:
                raise self._error(event, path, "merge keys (<<) are not read here; write the keys out")
            if key in entries:
                raise self._error(event, inner, f"the key stands twice, first on line {entries[key].line}")
            entries[key] = self._node(next(self._events), inner, event)
        return entries

    def _sequence(self, path: tuple[str, ...]) -> tuple[Node, ...]:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, f"[{len(items)}]")))
        return tuple(items)

    def _text(self, event: Any, path: tuple[str, ...]) -> str:
        text: str = event.value
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            # JSON writes what lies beyond the basic plane as two escapes, which PyYAML leaves apart.
            try:
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise self._error(event, path, "half a surrogate pair is no text") from None
        return text

    def _error(self, event: Any, path: tuple[str, ...], message: str) -> ConfigError:
        return ConfigError(message, where=f"{self._file}:{event.start_mark.line + 1}", key=dotted(path))


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise ConfigError(
            f"byte 0x{data[exc.start]:02x} is not UTF-8; save it as UTF-8", where=f"{file}:{line}"
        ) from exc


def _explained(exc: yaml.YAMLError, text: str, file: str) -> ConfigError:
    if isinstance(exc, yaml.reader.ReaderError):
        line = text.count("\n", 0, exc.position) + 1
        return ConfigError(f"the character U+{ord(text[exc.position]):04X} is not allowed", where=f"{file}:{line}")
    mark = getattr(exc, "problem_mark", None)
    said = str(getattr(exc, "problem", None) or exc).replace("\n", " ")
    if mark is None:
        return ConfigError(f"not YAML: {said}", where=file)
    row = text.split("\n")[mark.line] if mark.line <= text.count("\n") else ""
    return ConfigError(_reason(said, row, mark.column), where=f"{file}:{mark.line + 1}")


def _reason(said: str, row: str, column: int) -> str:
    indent = row[: len(row) - len(row.lstrip())]
    if "\t" in indent or row[column : column + 1] == "\t":
        return "a tab; YAML is indented with spaces only"
    if said.startswith("mapping values are not allowed"):
        return "a second `: ` here; put the value in quotes, or indent the line as its neighbours are"
    if "cannot start any token" in said or row.startswith("%"):
        sign = "%" if row.startswith("%") else row[column : column + 1]
        return f"no value starts with {quoted(sign)}; put it in quotes"
    if "could not find expected ':'" in said:
        return "not YAML: a `:` is missing after a key, here or on the line above"
    return f"not YAML: {said[:120]}"
