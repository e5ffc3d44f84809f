"""A strategy is its file, the inventory's settings over it, and `--set` over both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dojo_deploy.config import load_inventory, load_strategy, strategy_document, strategy_from_document
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Gate
from dojo_deploy.secrets import Secret
from dojo_deploy.strategies import KINDS, Restart, Rolling

from .conftest import SMALL, Write
from .families import CANARY, LISTENS, Canary, Listens, Smoke


@pytest.fixture
def files(small: Inventory) -> Path:
    """The folder of strategies beside that of the inventory."""
    folder = Path(small.path).parent.parent / "strategies"
    folder.mkdir()
    text = f"strategy: {CANARY}\nwatch: 5m\ngate: {{every: 2s, within: 1m}}\nsmoke: {{run: npm test}}\n"
    (folder / "careful.yml").write_text(text)
    return folder


def refused(name: str, site: Inventory, **overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_strategy(name, site, overrides={key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value)


def test_a_file_is_found_beside_the_inventory_and_by_its_path(small: Inventory, files: Path) -> None:
    expected = Canary(watch=300.0, gate=Gate(every=2.0, within=60.0), smoke=Smoke("npm test"))
    assert load_strategy("careful", small) == expected
    assert load_strategy(str(files / "careful.yml"), small) == expected


def test_a_file_is_found_below_the_current_folder(
    small: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "rolling.yml").write_text("max_failures: 2\n")
    found = load_strategy("rolling", small)
    assert found == Rolling(max_failures=2)


def test_a_kind_and_a_class_need_no_file(small: Inventory) -> None:
    assert load_strategy("restart", small) == Restart()
    assert load_strategy(CANARY, small, overrides={"share": "5"}) == Canary(share=5)


@pytest.mark.usefixtures("files")
def test_the_inventory_lies_over_the_file_and_set_over_both(write: Write) -> None:
    site = load_inventory(write(SMALL + "strategies: {careful: {gate: {every: 5s}, watch: 1m}}\n"))
    found = load_strategy("careful", site, overrides={"watch": "3s", "smoke.deadline": "1m", "batches": "[1, 100%]"})
    assert found == Canary(
        watch=3.0, gate=Gate(every=5.0, within=60.0), smoke=Smoke("npm test", 60.0), batches=(1, "100%")
    )


def test_set_takes_values_as_yaml_does(small: Inventory) -> None:
    values = {"loud": "true", "mode": "fast", "env.A": "no", "env.B": "{env: B}", "token": "{file: t}"}
    found = load_strategy(CANARY, small, overrides=values)
    assert found == Canary(loud=True, mode="fast", env={"A": "no", "B": Secret("env", "B")}, token=Secret("file", "t"))
    assert load_strategy(CANARY, small, overrides={"smoke.run": ""}) == Canary(smoke=Smoke(""))


@pytest.mark.usefixtures("files")
def test_an_unknown_strategy_lists_what_there_is(small: Inventory) -> None:
    assert refused("rollin", small) == 'strategy: no strategy "rollin"; did you mean rolling?'
    assert f"there is: {', '.join(sorted([*KINDS, 'careful']))}" in refused("zzzzz", small)
    assert 'no strategy "strategies/none.yml"' in refused("strategies/none.yml", small)
    assert "there is no module our_company" in refused("our_company:Canary", small)
    assert "has no class Canry; did you mean Canary?" in refused(CANARY.replace("Canary", "Canry"), small)


def test_a_mistake_names_the_place_it_came_from(write: Write, small: Inventory, files: Path) -> None:
    path = files / "careful.yml"
    for text, said in [
        ("gate:\n  atempts: 3\n", f"{path}:3: gate.atempts: unknown key; there is: probes"),
        ("gate:\n  evry: 3\n", f"{path}:3: gate.evry: unknown key; did you mean every?"),
        ("watch: soon\n", f"{path}:2: watch: wants a number of seconds"),
        ("share: 400\n", f"{path}:2: share: 400 is no percentage; 1 to 100"),
        ("batches: 1\n", f"{path}:2: batches: wants a list like [a, b], got the number 1; write [1]"),
        ("mode: careless\n", f"{path}:2: mode: wants one of: fast, careful"),
        ("probe: {kind: tpc}\n", f'{path}:2: probe.kind: unknown kind "tpc"; did you mean tcp?'),
        ("share: 1\nshare: 2\n", f"{path}:3: share: the key stands twice, first on line 2"),
    ]:
        path.write_text(f"strategy: {CANARY}\n{text}")
        assert refused("careful", small).startswith(said)
    path.write_text("strategy: 5\n")
    assert f"{path}:1: strategy: wants a name" in refused("careful", small)
    path.write_text("watch: 5\n")
    assert f'{path}:1: strategy: unknown kind "careful"' in refused("careful", small)
    path.write_text(f"strategy: {CANARY}\n")
    site = load_inventory(write(SMALL + "strategies: {careful: {wacth: 1}}\n"))
    assert f"{site.path}: strategies.careful: wacth: unknown key; did you mean watch?" in refused("careful", site)
    assert refused("careful", small, wtch="3s") == "--set: wtch: unknown key; did you mean watch?"
    assert refused("careful", small, gate__within="no").startswith("--set: gate.within: wants a number of seconds")
    assert (
        refused("careful", small, batches="[1")
        == "--set: batches: not YAML: expected ',' or ']', but got '<stream end>'"
    )
    assert "--set:" in refused("careful", small, a____b="1")


def test_a_strategy_survives_the_runs_header() -> None:
    for strategy in (
        Canary(watch=0.1, hooks=(Smoke("x"),), token=Secret("cmd", "x"), probe=Listens(9), batches=(1, "10%")),
        Rolling(batches=(2,), max_failures="10%"),
        Restart(),
    ):
        document = strategy_document(strategy)
        assert strategy_from_document(json.loads(json.dumps(document))) == strategy
    assert strategy_document(Rolling())["strategy"] == "rolling"
    assert strategy_document(Canary(probe=Listens()))["probe"] == {"kind": LISTENS, "port": 80}


def test_a_header_that_fits_no_longer_says_so() -> None:
    with pytest.raises(ConfigError, match=r"^header: speed: unknown key"):
        strategy_from_document({"strategy": "rolling", "speed": 5}, where="header")
    with pytest.raises(ConfigError, match=r"^header: strategy: is missing"):
        strategy_from_document({}, where="header")
