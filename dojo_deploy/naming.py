"""A name that a person types -> the file that it means, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

INVENTORIES = Path("inventories")
SUFFIXES = (".yml", ".yaml", ".json")


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """`name` as a path when it looks like one, else the file of that stem in the first folder that has it."""
    if "\0" in name or len(name) > 1000:
        return None
    if "/" in name or name.endswith(SUFFIXES):
        return Path(name) if Path(name).is_file() else None
    candidates = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def name_of(path: str | Path) -> str:
    """What -i takes for that file: its name where it is found by it, else the path; empty for no path."""
    if not path:
        return ""
    stem = Path(path).stem
    found = find_file(stem, [INVENTORIES])
    return stem if found and found.resolve() == Path(path).resolve() else str(path)
