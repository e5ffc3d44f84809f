"""What a person types is found, or what there is gets listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy.config import find_inventory, load_inventory
from dojo_deploy.configuration.finding import name_to_type
from dojo_deploy.errors import ConfigError
from dojo_deploy.naming import name_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOJO_INVENTORY", raising=False)
    (tmp_path / "inventories").mkdir()
    return tmp_path / "inventories"


def test_a_name_a_path_and_the_environment_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("production.yml", "eu.yaml"):
        (folder / name).touch()
    assert find_inventory("production") == Path("inventories/production.yml")
    assert find_inventory("eu") == Path("inventories/eu.yaml")
    assert find_inventory(str(folder / "eu.yaml")) == folder / "eu.yaml"
    monkeypatch.setenv("DOJO_INVENTORY", "eu")
    assert find_inventory() == Path("inventories/eu.yaml")
    assert find_inventory("production") == Path("inventories/production.yml")


def test_without_a_name_it_is_the_sandbox_or_the_only_one(folder: Path) -> None:
    (folder / "staging.yml").touch()
    assert find_inventory(None) == Path("inventories/staging.yml")
    (folder / "production.yml").touch()
    with pytest.raises(ConfigError, match=r"which inventory\? one of: production, staging\n.*-i NAME"):
        find_inventory(None)
    (folder / "sandbox.yml").touch()
    assert find_inventory("") == Path("inventories/sandbox.yml")


def test_what_is_not_there_is_answered_with_what_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there is none in inventories/"):
        find_inventory()
    (folder / "production.yml").touch()
    with pytest.raises(ConfigError, match=r'no inventory "prodution"; did you mean production\?'):
        find_inventory("prodution")
    monkeypatch.setenv("DOJO_INVENTORY", "nowhere/x.yml")
    with pytest.raises(ConfigError, match=r"\(from \$DOJO_INVENTORY\); there is: production"):
        find_inventory()


def test_another_default_than_the_sandbox_is_named_for_everybody(folder: Path) -> None:
    for name in ("sandbox.yml", "production.yml", "staging.yml"):
        (folder / name).touch()
    (folder / "default").write_text("production\n")
    assert find_inventory() == Path("inventories/production.yml")
    assert find_inventory("sandbox") == Path("inventories/sandbox.yml")
    (folder / "default").write_text("prodution\n")
    with pytest.raises(
        ConfigError, match=r'no inventory "prodution" \(from inventories/default\); did you mean production\?'
    ):
        find_inventory()


def test_what_others_extend_is_no_inventory_unless_it_has_hosts(folder: Path) -> None:
    (folder / "common.yml").write_text("app: {name: shop}\n")
    (folder / "production.yml").write_text("extends: common.yml\nhosts: {web: [web1]}\n")
    assert find_inventory() == Path("inventories/production.yml")
    (folder / "canary.yml").write_text("extends: production.yml\n")
    with pytest.raises(ConfigError, match=r"one of: canary, production\n.*echo canary > inventories/default"):
        find_inventory()


def test_a_base_with_a_balancers_hosts_is_no_inventory_however_it_is_named(folder: Path) -> None:
    (folder / "common.yml").write_text("balancer:\n  kind: nginx\n  hosts: [lb1]\n")
    (folder / "production.yml").write_text("extends: ./common.yml\nhosts: {web: [web1]}\n")
    assert find_inventory() == Path("inventories/production.yml")


def test_a_file_that_cannot_be_read_keeps_nobody_from_another(folder: Path) -> None:
    (folder / "broken.yml").symlink_to("/proc/self/mem")  # read by nobody, root neither
    (folder / "production.yml").write_text("hosts: {web: [web1]}\n")
    assert find_inventory("production") == Path("inventories/production.yml")
    with pytest.raises(ConfigError, match=r"which inventory\? one of: broken, production"):
        find_inventory()
    with pytest.raises(ConfigError, match=r"broken\.yml"):
        load_inventory(find_inventory("broken"))


def test_what_is_typed_for_an_inventory_finds_that_very_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "production.yml").touch()
    assert name_to_type("inventories/production.yml") == ""
    (folder / "sandbox.yml").touch()
    assert name_to_type(folder / "production.yml") == "production"
    assert name_to_type("inventories/sandbox.yml") == ""
    monkeypatch.setenv("DOJO_INVENTORY", "sandbox")
    assert name_to_type("inventories/sandbox.yml") == "sandbox"

    elsewhere = folder.parent / "other" / "inventories" / "production.yml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.touch()
    assert [name_of(elsewhere), name_of(""), name_of("inventories/none.yml")] == [
        str(elsewhere), "", "inventories/none.yml"
    ]  # fmt: skip
