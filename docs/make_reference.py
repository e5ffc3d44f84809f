"""Writes docs/reference.md from the classes, the tasks, the errors and the events: `python docs/make_reference.py`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from invoke import Collection

from dojo_deploy import errors, events, inventory
from dojo_deploy.configuration.described import Description, Key, describe
from dojo_deploy.configuration.resolve import kinds_of, resolve
from dojo_deploy.tasks import namespace

FILE = Path(__file__).with_name("reference.md")
FAMILIES = {
    "balancers": "Balancers, `balancer:`",
    "processes": "Process managers, `kind` of `app.processes:`",
    "stores": "Stores, `store:`",
    "probes": "Probes, under `probes:`",
    "databases": "Databases, `database:`",
    "notifiers": "Notifiers, under `notifiers:`",
}
SECTIONS = {
    "app:": inventory.App,
    "app.processes.NAME:": inventory.Process,
    "a host of hosts:": inventory.Host,
}
VERDICTS = {
    0: "done (or *partial*, with a deliberate `--limit`)",
    2: "usage or configuration: file, line, key, and what to type",
    10: "refused before any change",
    11: "locked by another run: who, since when",
    12: "fenced: a newer run took over",
    20: "failed and rolled back; the fleet is consistent",
    30: "mixed or unknown: page someone",
    130: "interrupted, resumable",
}


def reference() -> str:
    """The whole page."""
    parts = (_head(), _strategies(), _families(), _inventory(), _tasks(), _exits(), _events())
    return "\n".join(line.rstrip() for part in parts for line in part) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the classes by `python docs/make_reference.py`; a test says when it is stale. A class's field is a"
    yield "key of its section in a file. At the prompt, `dojo strategies` and `dojo TASK --help` tell the same."


def _strategies() -> Iterator[str]:
    yield from ("", "## Strategies")
    for kind in kinds_of("strategies"):
        yield from _described(describe(kind, resolve("strategies", kind)))


def _families() -> Iterator[str]:
    for family, title in FAMILIES.items():
        yield from ("", f"## {title}")
        for kind in kinds_of(family):
            yield from _described(describe(kind, resolve(family, kind)))


def _inventory() -> Iterator[str]:
    yield from ("", "## Inventories")
    for name, cls in SECTIONS.items():
        yield from _described(describe(name, cls))


def _described(found: Description) -> Iterator[str]:
    yield from ("", f"### `{found.name}`", "", f"`{found.target}`")
    if found.text:
        yield from ("", *found.text.splitlines())
    if found.keys:
        yield from ("", "| key | default | what it takes |", "|---|---|---|")
        yield from (f"| `{key.name}` | {_default(key)} | {_cell(key.type)} |" for key in found.keys)


def _default(key: Key) -> str:
    if key.is_required:
        return "**required**"
    return f"{key.default:g} s" if key.unit == "seconds" else f"`{_cell(json.dumps(key.default, ensure_ascii=False))}`"


def _tasks() -> Iterator[str]:
    yield from ("", "## Tasks and their flags")
    for name, task in sorted(_named(namespace, "")):
        yield from ("", f"### `dojo {name}`", "", *(inspect.getdoc(task) or "").splitlines())
        flags = [argument for argument in task.get_arguments() if argument.help]
        if flags:
            yield from ("", "| flag | |", "|---|---|")
        for argument in flags:
            names = [f"`{'--' if len(each) > 1 else '-'}{each.replace('_', '-')}`" for each in argument.names]
            yield f"| {' '.join(names)} | {_cell(argument.help)} |"


def _named(collection: Collection, before: str) -> Iterator[tuple[str, Any]]:
    yield from ((f"{before}{name}", task) for name, task in collection.tasks.items())
    for name, inner in collection.collections.items():
        yield from _named(inner, f"{before}{name}.")


def _exits() -> Iterator[str]:
    yield from ("", "## Exit codes", "", "| code | | errors of the library that end so |", "|---|---|---|")
    for code, meaning in VERDICTS.items():
        named = ", ".join(f"`{cls.__name__}`" for cls in _errors() if cls.exit_code == code)
        yield f"| {code} | {meaning} | {named} |"
    yield from ("", "| error | |", "|---|---|")
    yield from (f"| `{cls.__name__}` | {_cell(_line(cls))} |" for cls in _errors())


def _errors() -> Iterable[type[errors.DojoError]]:
    return [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.DojoError)]


def _events() -> Iterator[str]:
    yield from (
        "",
        "## Events",
        "",
        "What subscribers are given, and a line each with `--json`. Every event has `seq` and `at`.",
    )
    yield from ("", "| event | fields | |", "|---|---|---|")
    for name, kind in events.KINDS.items():
        own = [f"`{item.name}`" for item in fields(kind) if item.name not in ("seq", "at")]
        text = _line(kind) if kind.__doc__ and not kind.__doc__.startswith(f"{name}(") else ""
        yield f"| `{name}` | {' '.join(own)} | {_cell(text)} |"


def _line(cls: type[Any]) -> str:
    """The docstring of the class itself, in one line."""
    return " ".join((inspect.cleandoc(cls.__doc__) if cls.__doc__ else "").split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(reference(), "utf-8")
    print(f"{FILE}: written")
