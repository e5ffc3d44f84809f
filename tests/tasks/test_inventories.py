"""`inventory` and `strategies`: what is configured, and what could be, without asking a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dojo_deploy.configuration.document import parse

from .conftest import Typed

COMMON = """\
app:
  name: shop
  root: /srv/shop
  env: {TOKEN: {env: SHOP_TOKEN}}
  processes: {kind: pm2, web: {script: server.js, port: 3000}}
"""
SITE = """\
extends: common.yml
hosts:
  web: ["web[1:2]", {name: web3, address: 10.0.0.3, ports: {web: {blue: 4000, green: 4001, proof: 4002}}}]
  lb: [web1]
balancer: {kind: nginx, hosts: lb}
"""
CANARY = '''\
from dataclasses import dataclass, field
from dojo_deploy.strategies import Bake, Hook

@dataclass(frozen=True)
class Canary:
    """One host first, for an hour.

    Then `share` of the others.
    """

    share: str
    first: float = 3600.0
    bake: Bake = Bake(each=5.0)
    hooks: tuple[Hook, ...] = ()

    def plan(self, site, release, seen):
        raise NotImplementedError
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        "inventories/common.yml": COMMON,
        "inventories/production.yml": SITE,
        "strategies/canary.yml": "strategy: our_company:Canary\n",
        "our_company.py": CANARY,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("site")
def test_an_inventory_is_shown_with_its_base_its_defaults_and_no_secret(typed: Typed) -> None:
    text = typed("inventory", SHOP_TOKEN="hunter2")
    found = json.loads(typed("inventory", "--json", SHOP_TOKEN="hunter2").stdout)

    assert text.returncode == 0 and "hunter2" not in text.stdout
    assert parse(text.stdout, file="shown").plain() == found
    assert found["app"]["env"] == {"TOKEN": {"env": "SHOP_TOKEN"}}
    assert (found["app"]["environment"], found["app"]["keep"], found["store"]["kind"]) == ("production", 5, "host")
    assert found["balancer"]["kind"] == "nginx"
    assert found["hosts"]["web2"]["ports"] == {"web": {"blue": 3000, "green": 3001, "proof": 3002}}


@pytest.mark.usefixtures("site")
def test_groups_are_drawn_and_a_host_is_shown_alone(typed: Typed) -> None:
    assert typed("inventory", "--graph").stdout == (
        "production of shop (inventories/production.yml)\n"
        "├─ web  (releases)\n│  ├─ web1\n│  ├─ web2\n│  └─ web3  10.0.0.3\n"
        "└─ lb  (balancer)\n   └─ web1\n"
    )
    alone = json.loads(typed("inventory", "--host", "web3", "--json").stdout)
    assert (alone["address"], alone["groups"], alone["ports"]["web"]["blue"]) == ("10.0.0.3", ["web"], 4000)
    assert alone["paths"]["current"] == "/srv/shop/slots/blue/current"
    missed = typed("inventory", "--host", "wbe3")
    assert (missed.returncode, missed.stderr) == (2, 'inventories/production.yml: no host "wbe3"; did you mean web3?\n')


def test_strategies_are_shown_with_every_key_also_those_of_others(site: Path, typed: Typed) -> None:
    shown = typed("strategies", PYTHONPATH=str(site)).stdout

    assert "\nblue-green  (dojo_deploy.strategies.blue_green:BlueGreen)\n" in shown
    assert (
        "canary  (our_company:Canary)\n    One host first, for an hour.\n\n    Then `share` of the others.\n" in shown
    )
    own = typed("strategies", "-s", "our_company:Canary", PYTHONPATH=str(site)).stdout
    rows = [" ".join(line.split()) for line in own.splitlines()]
    assert {"share required text", "first 3600 s a duration like 10m", "bake.each 5 s a duration like 10m"} <= {*rows}
    assert {"hooks [] a list of sections", "hooks[].run required text"} <= {*rows}
    keys = {key["name"]: key for key in json.loads(typed("strategies", "-s", "rolling", "--json").stdout)[0]["keys"]}
    assert (keys["bake.first"]["default"], keys["bake.first"]["unit"]) == (30.0, "seconds")
    rollback = json.loads(typed("strategies", "-s", "rollback", "--json").stdout)[0]["keys"]
    assert {key["default"] for key in rollback if key["name"] == "bake.first"} == {0.0}, "that of the field itself"
    assert keys["migrate.run"]["is_required"] and "gate.target" not in keys


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rollng", '-s: no strategy "rollng"; did you mean rolling?\n'),
        ("canary", "strategies/canary.yml:1: strategy: there is no module our_company; is its folder on PYTHONPATH?\n"),
    ],
)
def test_a_strategy_that_cannot_be_shown_says_why(name: str, said: str, typed: Typed) -> None:
    done = typed("strategies", "-s", name, PYTHONPATH="")

    assert (done.returncode, done.stderr) == (2, said)
