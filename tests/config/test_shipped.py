"""Every YAML file that we ship loads, and survives a run's header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dojo_deploy.config import (
    inventory_from_document,
    load_inventory,
    load_strategy,
    parse,
    strategy_document,
    strategy_from_document,
)
from dojo_deploy.configuration.resolve import kinds_of

ROOT = Path(__file__).parents[2]
INVENTORIES = sorted(path for path in (ROOT / "inventories").glob("*.yml") if path.stem not in ("common", "sandbox"))
STRATEGIES = sorted((ROOT / "strategies").glob("*.yml"))


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)
def test_an_inventory_loads_and_survives_a_header(path: Path) -> None:
    site = load_inventory(path)
    assert site.app.environment == path.stem
    assert inventory_from_document(json.loads(json.dumps(site.document)), path=path) == site


def test_the_sandbox_is_one_line() -> None:
    assert parse((ROOT / "inventories/sandbox.yml").read_bytes(), file="sandbox.yml").plain() == {
        "sandbox": {"hosts": 3}
    }


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: path.stem)
def test_a_strategy_loads_with_every_inventory_and_survives_a_header(path: Path, inventory: Path) -> None:
    site = load_inventory(inventory)
    strategy = load_strategy(path.stem, site)
    assert strategy == load_strategy(str(path), site)
    assert strategy_from_document(json.loads(json.dumps(strategy_document(strategy)))) == strategy


def test_files_and_kinds_agree_on_the_names() -> None:
    assert {path.stem for path in STRATEGIES} <= set(kinds_of("strategies"))
    assert {path.stem for path in INVENTORIES} == {"staging", "production"}
