"""What the code of a server says of itself: where it listens, and what answers whether it is well."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".js", ".mjs", ".cjs", ".ts", ".mts")
NOT_OURS = {"node_modules", "dist", "build", "coverage", "test", "tests", "__tests__", "public", "client", "frontend"}
MOST, LARGEST = 300, 200_000  # files, bytes of one

HEALTH = re.compile(r"['\"`](/(?:[\w-]+/){0,3}(?:healthz?|health-?check|livez|readyz|ping))['\"`]", re.IGNORECASE)
DEFAULT = re.compile(r"env\.PORT\b[^\n;]{0,20}?(?:\|\||\?\?)\s*['\"]?(\d{2,5})")
FIXED = re.compile(r"\.listen\(\s*['\"]?(\d{2,5})\b|\bport\s*[:=]\s*['\"]?(\d{4,5})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """`…_at` are file and line."""

    port: int = 0
    port_at: str = ""
    ignores_port: bool = False  # a number stands where it listens, and nobody reads $PORT
    health: str = ""
    health_at: str = ""


def read_sources(root: Path, folder: str) -> Said:
    """Of the code in `folder` of the repository, as far as a search finds it."""
    health: list[tuple[int, str, str]] = []
    default = fixed = (0, "")
    reads_port = False
    for path in _files(root / folder):
        text = path.read_text("utf-8", "replace")
        name = path.relative_to(root).as_posix()
        health += [(len(hit[1]), hit[1], _at(name, text, hit)) for hit in HEALTH.finditer(text)]
        reads_port = reads_port or "env.PORT" in text or "'PORT'" in text or '"PORT"' in text
        for hit in DEFAULT.finditer(text):
            default = default if default[0] else (int(hit[1]), _at(name, text, hit))
        for hit in FIXED.finditer(text):
            fixed = fixed if fixed[0] else (int(hit[1] or hit[2]), _at(name, text, hit))
    _, path_of_health, health_at = min(health, default=(0, "", ""))
    port, port_at = default if default[0] else fixed
    if not 10 <= port <= 65533:
        port, port_at = 0, ""
    return Said(port, port_at, bool(fixed[0]) and not reads_port, path_of_health, health_at)


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if not name.endswith(SUFFIXES) or ".test." in name or ".config." in name or path.is_symlink():
                continue
            if path.stat().st_size <= LARGEST:
                yield path
                count += 1
            if count == MOST:
                return


def _at(name: str, text: str, hit: re.Match[str]) -> str:
    line = text.count("\n", 0, hit.start()) + 1
    return f"{name}:{line}"
