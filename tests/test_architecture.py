"""Imports only go down, and each foreign library is imported by the one module that translates its errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dojo_deploy

PACKAGE = Path(dojo_deploy.__file__).parent
VALUES = {
    "errors",
    "secrets",
    "command",
    "patterns",
    "inventory",
    "readings",
    "migration",
    "release",
    "events",
    "clock",
    "durable",
    "streams",
    "database",
    "notices",
    "tuning",
    "paste",
    "naming",
    "rights",
}
FAMILIES = {"transports", "processes", "balancers", "probes", "stores", "databases", "notifiers"}
# Who may import whom, at run time; `TYPE_CHECKING` blocks name types and load nothing.
ALLOWED = {
    **dict.fromkeys(VALUES, VALUES),
    "plan": VALUES | {"plan", "outline", "estimate"},
    "outline": {"estimate"},
    "estimate": set(),
    "interfaces": VALUES | {"plan", "interfaces"},
    "http1": VALUES,
    "signals": set(),
    "gates": VALUES | {"plan", "interfaces"},
    "migrations": VALUES | {"migrations"},
    "steps": VALUES | {"plan", "interfaces", "steps", "migrations", "backups", "windows", "outbox"},
    "outbox": VALUES | {"interfaces"},
    "windows": VALUES | {"interfaces", "outbox", "windows"},
    "strategies": VALUES | {"plan", "interfaces", "steps", "strategies"},
    **{family: VALUES | {"plan", "interfaces", "http1", "gates"} for family in FAMILIES},
    "runbooks": {"runbooks"},
    "init": {"errors", "command", "init"},
    "backups": VALUES | {"plan", "interfaces", "backups"},
    "builds": VALUES | {"plan", "interfaces", "builds"},
    "engine": VALUES | {"plan", "interfaces", "gates", "builds", "engine"},
    "setup": VALUES | {"interfaces", "setup"},
    "checks": VALUES | {"plan", "interfaces", "engine", "checks"},
    "reporters": {"events", "secrets", "errors", "command", "reporters"},
    "prober": {"events", "errors", "clock", "prober"},
    # Suites for others: above all that they hold to something, and below nothing.
    "testing": VALUES | {"plan", "interfaces", "config", "transports", "balancers", "processes", "testing"},
}
# The sandbox is no adapter: it plays the far side, and may ask its own servers in their own language.
FOREIGN = {
    "paramiko": {"transports"},
    "fabric": {"transports"},
    "boto3": {"stores/s3.py", "balancers/alb/api.py", "secrets.py", "sandbox"},
    "botocore": {"stores/s3.py", "balancers/alb/api.py", "secrets.py", "sandbox"},
    "rich": {"reporters"},
    "asyncssh": {"sandbox"},
    "yaml": {"configuration"},
    "pytest": {"testing"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names that a module imports when it runs, wherever in it they stand."""
    return tuple(names(path))


def names(path: Path) -> Iterator[str]:
    for node in walk_without_type_checking(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "dojo_deploy")


def walk_without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from walk_without_type_checking(child)


def test_imports_only_go_down() -> None:
    wrong = []
    for room, path in modules():
        if room not in ALLOWED:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "dojo_deploy" or len(parts) < 2:
                continue
            same = parts[1] == room
            if (
                not same
                and parts[1] not in ALLOWED[room]
                and (PACKAGE / parts[1]).with_suffix(".py").exists() | (PACKAGE / parts[1]).is_dir()
            ):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_strategies_import_neither_engine_nor_adapter() -> None:
    rooms = {
        name.split(".")[1]
        for room, path in modules()
        if room == "strategies"
        for name in imports(path)
        if "." in name and name.startswith("dojo_deploy")
    }

    assert not rooms & (FAMILIES | {"engine", "app", "session", "runs"})


def test_adapters_of_a_family_do_not_import_each_other() -> None:
    from importlib import import_module

    for family in FAMILIES:
        kinds = getattr(import_module(f"dojo_deploy.{family}"), "KINDS", {})
        homes = {target.split(":")[0] for target in kinds.values()}
        for home in homes:
            # One kind is one file, or a folder of files.
            place = PACKAGE.joinpath(*home.split(".")[1:])
            used = {
                name
                for path in [place.with_suffix(".py"), *place.rglob("*.py")]
                if path.exists()
                for name in imports(path)
            }
            assert not {name for name in used for other in homes - {home} if f"{name}.".startswith(f"{other}.")}, home


@pytest.mark.parametrize("library", FOREIGN)
def test_one_place_imports_each_foreign_library(library: str) -> None:
    homes = {
        str(path.relative_to(PACKAGE))
        for _, path in modules()
        if any(name.split(".")[0] == library for name in imports(path))
    }

    assert all(any(home.startswith(allowed) for allowed in FOREIGN[library]) for home in homes), homes


def test_no_module_is_over_250_lines() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for _, path in modules()}

    assert {name: size for name, size in long.items() if size > 250} == {}


def test_every_kind_exists() -> None:
    from importlib import import_module

    for family in sorted(FAMILIES | {"strategies"}):
        for name, target in getattr(import_module(f"dojo_deploy.{family}"), "KINDS", {}).items():
            module, _, attribute = target.partition(":")
            assert hasattr(import_module(module), attribute), f"{family}.{name}"


def test_every_public_name_is_there() -> None:
    for name in dojo_deploy.__all__:
        assert getattr(dojo_deploy, name) is not None
