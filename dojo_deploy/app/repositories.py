"""The first files of a repository: an inventory, a strategy, tasks.py. What is there already is left as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.command import quote
from dojo_deploy.errors import ConfigError
from dojo_deploy.init.inventory_file import inventory
from dojo_deploy.init.project import Project, look
from dojo_deploy.init.running import processes
from dojo_deploy.init.strategy_file import strategy

IGNORED = (".dojo/", "inventories/secrets/")
TASKS = '''"""Invoke's entry point: `invoke --list`."""

from dojo_deploy.tasks import namespace

__all__ = ["namespace"]
'''


@dataclass(frozen=True)
class Begun:
    """What `init` did. `left` and `then` hold pairs: a file or a command, and what to know of it."""

    found: tuple[str, ...]
    written: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    then: tuple[tuple[str, str], ...]


def init(environment: str = "production", folder: str | Path = ".") -> Begun:
    """Writes the files for the repository in `folder`; runs nothing of it, and asks nothing.

    Raises ConfigError for a folder without a package.json, and for a name that could not be an inventory's.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,62}", environment) or environment.endswith((".yml", ".yaml")):
        raise ConfigError(f"{environment!r} is no name of an inventory", key="-i", hint="-i production, -i staging")
    root = Path(folder)
    project = look(root)
    texts = {
        f"inventories/{environment}.yml": inventory(project, environment),
        "strategies/rolling.yml": strategy(project),
        "tasks.py": TASKS,
        ".gitignore": "".join(f"{line}\n" for line in ("node_modules/", *IGNORED)),
    }
    written, left = [], []
    for name, text in texts.items():
        if _write(root / name, text):
            written.append(name)
        elif name in (".gitignore", "tasks.py"):
            left += [(name, advice) for advice in _lacking(root / name)]
        else:
            left.append((name, "is there already, and stays as it is"))
    there = (root / f"inventories/{environment}.yml").read_text("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(there, 1) if text.startswith("hosts:")), 1)
    return Begun(tuple(_found(project)), tuple(written), tuple(left), tuple(_next(project, environment, line)))


def _write(path: Path, text: str) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        if path.is_file():
            return False
        there = next(one for one in (path, *path.parents) if one.exists())
        what = "a folder" if there.is_dir() else "no folder"
        raise ConfigError(f"is {what}", where=str(there), hint=f"mv {quote(str(there))} somewhere else") from exc
    except OSError as exc:
        raise ConfigError(f"cannot be written: {exc.strerror}", where=str(path)) from exc
    return True


def _lacking(path: Path) -> Iterator[str]:
    """What a file that is there would need besides."""
    text = path.read_text("utf-8", "replace")
    if path.name == "tasks.py":
        if "dojo_deploy" not in text:
            yield "for `invoke deploy` add to it: from dojo_deploy.tasks import namespace"
        return
    ignored = {line.strip().strip("/") for line in text.splitlines()}
    missing = [line for line in IGNORED if line.strip("/") not in ignored]
    if missing:
        yield f"add to it: {' '.join(missing)}"


def _found(project: Project) -> Iterator[str]:
    server = project.server
    node = f", node {server.node}" if server.node else ""
    where = f"{server.folder}/package.json" if server.folder else "package.json"
    yield f"{where} ({server.name or 'without a name'}{node})"
    if project.ecosystem:
        yield project.ecosystem
    yield "processes: " + ", ".join(
        f"{one.name} ({one.script}{f' on {one.port}' if one.port else ''})" for one in processes(project)
    )
    if project.prisma:
        yield f"{project.prisma}/ ({project.provider or 'no provider'})"
    if project.example:
        count = len(project.variables)
        yield f"{project.example} ({count} variable{'' if count == 1 else 's'})"
    yield from (f"{client.folder or '.'}/ (built for browsers)" for client in project.clients)


def _next(project: Project, environment: str, line: int) -> Iterator[tuple[str, str]]:
    yield f"${{EDITOR:-vi}} +{line} inventories/{environment}.yml", "fill in the hosts"
    if project.private:
        yield (
            f"install -D -m 600 {project.example} inventories/secrets/{environment}.env",
            "and give its variables their values",
        )
    yield f"dojo hosts.trust -i {environment}", "compare the fingerprints with the hosts' own"
    yield (
        f"dojo setup -i {environment} --user ADMIN",
        "once, with an administrator's account; --dry-run shows every line",
    )
    yield f"dojo check -i {environment}", "what is wrong with the hosts, and what mends it"
    yield f"dojo deploy -i {environment} --dry-run", "every command, per stage, batch and host; nothing is changed"
    yield f"dojo deploy -i {environment}", ""
