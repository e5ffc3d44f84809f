"""package.json of the repository, and of the folders that it consists of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojo_deploy.errors import ConfigError

SERVERS = {"express", "fastify", "koa", "@nestjs/core", "@hapi/hapi", "hono", "restify", "polka", "next", "nuxt"}
CLIENTS = {"vite", "react-scripts", "@angular/cli", "@vue/cli-service", "parcel", "webpack"}
LOCKS = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
}
MOST = 100  # folders that are looked into


@dataclass(frozen=True)
class Package:
    """One package.json; `folder` is relative to the repository, empty for its own."""

    folder: str
    name: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)
    uses: frozenset[str] = frozenset()  # its dependencies, those for development too
    node: str = ""
    main: str = ""
    lock: str = ""  # the program whose lock file lies beside it
    is_member: bool = False  # of the repository's workspaces: installed with it

    @property
    def serves(self) -> bool:
        return bool(self.uses & SERVERS)

    @property
    def bundles(self) -> bool:
        """It is built into files for a browser."""
        return bool(self.uses & CLIENTS) and not self.serves


def read_packages(root: Path) -> tuple[Package, ...]:
    """The repository's own first. Raises ConfigError where there is none, or for one that is no JSON."""
    if not (root / "package.json").is_file() and not any(root.glob("*/package.json")):
        raise ConfigError(
            "no package.json here, nor one folder below", where=str(root), hint="cd to the application's repository"
        )
    own = _document(root / "package.json")
    members = {path for pattern in _workspaces(root, own) for path in _matching(root, pattern)}
    below = {path.parent for path in root.glob("*/package.json") if path.parent.name != "node_modules"}
    folders = [root, *sorted(members | below)[:MOST]]
    return tuple(
        _package(root, folder, is_member=folder in members) for folder in folders if (folder / "package.json").is_file()
    )


def _package(root: Path, folder: Path, *, is_member: bool) -> Package:
    document = _document(folder / "package.json")
    depends = [document.get(key) for key in ("dependencies", "devDependencies")]
    engines = document.get("engines")
    return Package(
        folder="" if folder == root else folder.relative_to(root).as_posix(),
        name=_text(document.get("name")),
        scripts={key: value for key, value in _mapping(document.get("scripts")).items() if isinstance(value, str)},
        uses=frozenset(name for each in depends for name in _mapping(each)),
        node=_text(_mapping(engines).get("node")),
        main=_text(document.get("main")),
        lock=next((program for name, program in LOCKS.items() if (folder / name).is_file()), ""),
        is_member=is_member,
    )


def _document(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return _mapping(json.loads(path.read_text("utf-8-sig")))
    except (ValueError, RecursionError) as exc:
        line = getattr(exc, "lineno", 0)
        raise ConfigError(f"is no JSON: {exc}", where=f"{path}:{line}" if line else str(path)) from exc


def _workspaces(root: Path, document: Mapping[str, Any]) -> Iterator[str]:
    said = document.get("workspaces")
    named = said if isinstance(said, list) else _mapping(said).get("packages")
    yield from (each for each in named or () if isinstance(each, str))
    pnpm = root / "pnpm-workspace.yaml"
    if pnpm.is_file():
        text = pnpm.read_text("utf-8", "replace")
        yield from (found[1] for found in re.finditer(r"^\s*-\s*['\"]?([^'\"#\s]+)", text, re.MULTILINE))


def _matching(root: Path, pattern: str) -> Iterator[Path]:
    clean = pattern.removeprefix("./").strip("/")
    if not clean or clean.startswith(("!", "..", "/")) or ".." in clean:
        return
    try:
        matching = tuple(root.glob(f"{clean}/package.json"))
    except (ValueError, NotImplementedError):
        return  # no pattern of ours: its packages are looked for one level deep all the same
    for found in matching:
        if "node_modules" not in found.parts:
            yield found.parent


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
