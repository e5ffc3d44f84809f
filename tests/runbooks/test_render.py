"""The runbook that is written from plans: every procedure, every step with its reason, and nothing for the lint."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.app.runbooks import render
from dojo_deploy.config import inventory_from_document
from dojo_deploy.runbooks.lint import lint
from dojo_deploy.runbooks.why import OWN
from tests.sites import site

DATABASE = {"kind": "postgres", "name": "tcgdojo", "host": "web1", "user": "tcgdojo"}
MIGRATE = {"run": "npx --no-install prisma migrate deploy"}
STRATEGIES = {"rolling": {"migrate": MIGRATE}, "blue-green": {"migrate": MIGRATE}}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no strategy file of this repository is found."""
    monkeypatch.chdir(tmp_path)


def full(**more: Any) -> str:
    return render(site(3, database=DATABASE, strategies=STRATEGIES, **more))


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_procedure_has_its_commands_its_reason_its_proof_and_its_way_back() -> None:
    text = full()
    titles = re.findall(r"(?m)^## (.+)$", text)
    assert titles == [
        "Rolling deployment", "Blue-green deployment", "Rollback", "Restart", "Migrations alone", "Maintenance",
        "Backup", "Restore", "A run that was stopped",
    ]  # fmt: skip
    for title in titles:
        told = section(text, title)
        assert "\n$ dojo " in told and "\n- Verify: " in told and "\n- Undo: " in told, title
        assert "Not possible here" not in told, told


def test_a_step_says_what_it_does_why_how_it_is_verified_and_what_undoes_it() -> None:
    told = section(full(), "Rolling deployment")
    drain = told.partition("**drain**: ")[2].partition("**switch**")[0]
    assert (
        drain.startswith("no request is under way") and "server web1:3000 down;" in drain and "Undo: restore" in drain
    )
    switch = told.partition("**switch**: ")[2].partition("**restore**")[0]
    assert "Verify: release + health of blue via host, 3 in a row" in switch and "Undo: switch back" in switch
    assert "**batch 3 of 3**, on web3: as in batch 2 of 3" in told


def test_every_command_names_the_inventory_so_that_it_is_found(tmp_path: Path) -> None:
    there = tmp_path / "else where" / "inventories" / "production.yml"
    there.parent.mkdir(parents=True)
    there.touch()
    text = render(replace(site(3, database=DATABASE, strategies=STRATEGIES), path=str(there)))
    typed = re.findall(r"(?m)(?:^\$ |`)(dojo [a-z.]+[^`\n]*)", text)
    assert len(typed) > 20 and [line for line in typed if f"-i '{there}'" not in line] == []


def test_every_step_of_ours_has_a_reason() -> None:
    assert OWN not in full()


def test_the_lint_finds_nothing_in_it() -> None:
    assert lint(full()) == ()


def test_what_a_site_cannot_do_is_said_where_it_would_stand() -> None:
    bare = render(site(2, balancer={"kind": "none"}))
    assert "Not possible here: " in section(bare, "Blue-green deployment")
    assert section(bare, "Backup").strip().endswith("Not possible here: the inventory has no `database:`")
    assert "Not possible here: no strategy has a `migrate:`" in section(bare, "Migrations alone")
    assert lint(bare) == ()


def test_a_secret_is_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "hunter2-and-more")
    inventory = site(2)
    document: Any = {**inventory.document}
    document["app"] = {**document["app"], "env": {"SESSION_KEY": {"env": "SHOP_KEY"}}}
    text = render(inventory_from_document(document))
    assert "hunter2" not in text


def test_of_two_groups_as_colours_the_idle_one_is_started() -> None:
    inventory = site(4)
    document: Any = {**inventory.document, "colours": {"blue": "left", "green": "right"}}
    document["hosts"] = {**document["hosts"], "left": ["web1", "web2"], "right": ["web3", "web4"]}
    told = section(render(inventory_from_document(document)), "Blue-green deployment")
    assert "on web3 web4:" in told
