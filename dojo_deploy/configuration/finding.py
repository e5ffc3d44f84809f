"""What a person types -> a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dojo_deploy.configuration.problems import quoted, suggestion
from dojo_deploy.errors import ConfigError
from dojo_deploy.naming import INVENTORIES, SUFFIXES, find_file, name_of

DEFAULT = INVENTORIES / "default"  # holds the name of the one that is meant where none is named
EXTENDS = re.compile(r"^extends:\s*['\"]?([^'\"\s#]+)", re.MULTILINE)


def find_inventory(name: str | None = None) -> Path:
    """The inventory file that `name` means: a path, or `production` for `inventories/production.yml`.

    Without a name: $DOJO_INVENTORY, the name that `inventories/default` holds, `inventories/sandbox.yml`, or the only
    inventory there is; a file that others extend and that names no hosts is none. Raises ConfigError that lists what
    there is.
    """
    named = (
        (name, ""),
        (os.environ.get("DOJO_INVENTORY"), " (from $DOJO_INVENTORY)"),
        (_default(), f" (from {DEFAULT})"),
    )
    known = inventories()
    for wanted, source in named:
        if wanted:
            found = find_file(wanted, [INVENTORIES])
            if found is None:
                raise ConfigError(f"no inventory {quoted(wanted)}{source}; {suggestion(wanted, known)}")
            return found
    chosen = "sandbox" if "sandbox" in known else known[0] if len(known) == 1 else ""
    found = find_file(chosen, [INVENTORIES]) if chosen else None
    if found is None:
        there = f"one of: {', '.join(known)}" if known else f"there is none in {INVENTORIES}/"
        choose = f"-i NAME, or export DOJO_INVENTORY=NAME; for everybody: echo {known[0]} > {DEFAULT}" if known else ""
        raise ConfigError(f"which inventory? {there}", hint=choose or "dojo init writes the first one")
    return found


def inventories() -> list[str]:
    """Names of those below the current folder."""
    texts = {path: _text(path) for path in _files(INVENTORIES)}
    bases = {(path.parent / hit[1]).resolve() for path, text in texts.items() for hit in EXTENDS.finditer(text)}
    return sorted({path.stem for path, text in texts.items() if path.resolve() not in bases or _has_hosts(path, text)})


def name_to_type(path: str | Path) -> str:
    """The name of that file, or nothing where it is the one that is found without, in any shell."""
    try:
        is_found = not os.environ.get("DOJO_INVENTORY") and find_inventory().resolve() == Path(path).resolve()
    except ConfigError:
        is_found = False
    return "" if is_found else name_of(path)


def _text(path: Path) -> str:
    """Nothing of one that cannot be read: that is told when it is the one that is meant."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _has_hosts(path: Path, text: str) -> bool:
    """Of its own: a balancer has `hosts:`, too, further in. JSON is indented throughout."""
    indented = r"\s*" if path.suffix == ".json" else ""
    return bool(re.search(rf"^{indented}['\"]?hosts['\"]?\s*:", text, re.MULTILINE))


def _default() -> str:
    return DEFAULT.read_text("utf-8", "replace").strip() if DEFAULT.is_file() else ""


def stems(folders: Sequence[Path]) -> list[str]:
    """Names that files in these folders go by."""
    return sorted({path.stem for folder in folders for path in _files(folder)})


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
