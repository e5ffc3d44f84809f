"""What a person types -> a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dojo_deploy.configuration.problems import quoted, suggestion
from dojo_deploy.errors import ConfigError

INVENTORIES = Path("inventories")
SUFFIXES = (".yml", ".yaml", ".json")


def find_inventory(name: str | None = None) -> Path:
    """The inventory file that `name` means: a path, or `production` for `inventories/production.yml`.

    Without a name: $DOJO_INVENTORY, `inventories/sandbox.yml`, or the only inventory there is. Raises ConfigError
    that lists what there is.
    """
    wanted = name or os.environ.get("DOJO_INVENTORY", "")
    if wanted:
        found = find_file(wanted, [INVENTORIES])
        if found is None:
            source = "" if name else " (from $DOJO_INVENTORY)"
            raise ConfigError(f"no inventory {quoted(wanted)}{source}; {suggestion(wanted, stems([INVENTORIES]))}")
        return found
    known = stems([INVENTORIES])
    chosen = "sandbox" if "sandbox" in known else known[0] if len(known) == 1 else ""
    found = find_file(chosen, [INVENTORIES]) if chosen else None
    if found is None:
        there = f"one of: {', '.join(known)}" if known else f"there is none in {INVENTORIES}/"
        raise ConfigError(f"which inventory? {there}", hint="-i NAME, or export DOJO_INVENTORY=NAME")
    return found


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """`name` as a path when it looks like one, else the file of that stem in the first folder that has it."""
    if "\0" in name or len(name) > 1000:
        return None
    if "/" in name or name.endswith(SUFFIXES):
        return Path(name) if Path(name).is_file() else None
    candidates = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def stems(folders: Sequence[Path]) -> list[str]:
    """Names that files in these folders go by."""
    return sorted({path.stem for folder in folders if folder.is_dir() for path in folder.iterdir() if _is_ours(path)})


def _is_ours(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file()
