"""Two groups of hosts as colours: each host runs its own colour and never hears of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app, sandbox
from dojo_deploy.sandbox.inventory import bring_up, home
from tests.e2e.colours import Colours, without_loss
from tests.e2e.fleet import Fleet
from tests.e2e.looking import pm2_names, variant

pytestmark = pytest.mark.soak


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Colours]:
    """Bare: web1 is blue, web2 green."""

    def colours(document: dict[str, Any]) -> None:
        document["hosts"] |= {"left": ["web1"], "right": ["web2"]}
        document["colours"] = {"blue": "left", "green": "right"}

    inventory = tmp_path / "inventories" / "sandbox.yml"
    inventory.parent.mkdir()
    inventory.write_text("sandbox: {hosts: 2}\n")
    bring_up(inventory, {"hosts": 2})
    try:
        yield Colours(variant(Fleet(inventory), tmp_path / "mine" / "inventories" / "sandbox.yml", colours).inventory)
    finally:
        sandbox.down(home(inventory, {}), destroy=True)


def names(fleet: Colours) -> dict[str, list[str]]:
    scope = f"{fleet.site.scope}-"
    return {host: [name.removeprefix(scope) for name in found] for host, found in pm2_names(fleet.site).items()}


def without_web2(fleet: Colours, path: Path) -> Colours:
    """The same fleet, as one sees it who cannot reach web2."""

    def unreachable(document: dict[str, Any]) -> None:
        document["ssh"]["connect_within"] = "2s"
        next(entry for entry in document["hosts"]["web"] if entry["name"] == "web2")["port"] = 1

    return Colours(variant(fleet, path, unreachable).inventory)


def test_traffic_and_workers_move_from_group_to_group_and_no_request_is_lost(groups: Colours, tmp_path: Path) -> None:
    first = groups.bring("v1")
    assert first.result.verdict == "done", first.output
    assert names(groups) == {"web1": ["blue-web", "blue-worker"], "web2": []}

    second = groups.bring("v2", probe=350, at_least=1500)
    without_loss(second, at_least=1500)
    assert set(groups.answers()) == {second.result.release}
    assert names(groups) == {"web1": ["blue-web"], "web2": ["green-web", "green-worker"]}
    census = groups.census()
    assert (census.verdict, census.live, list(census.rows)) == ("consistent", "green", ["web2"])

    back = groups.back(probe=350, at_least=1500)
    without_loss(back, at_least=1500)
    assert set(groups.answers()) == {first.result.release}
    assert names(groups) == {"web1": ["blue-web", "blue-worker"], "web2": ["green-web"]}

    assert groups.bring("v2").result.verdict == "done"
    lost = without_web2(groups, tmp_path / "lost" / "inventories" / "sandbox.yml")
    alone = lost.back(probe=350, at_least=1500)
    without_loss(alone, at_least=1500)
    assert "web2 cannot be asked" in alone.output
    assert set(groups.answers()) == {first.result.release}
    assert next(known for known in app.releases(groups.inventory) if known.ref == "v2").bad

    assert app.retire(groups.inventory, now=True).verdict == "done"
    assert names(groups) == {"web1": ["blue-web", "blue-worker"], "web2": []}
    rolled = groups.deploy("v2", overrides={"prove": "off"})
    assert rolled.verdict == "done", rolled.reason
    assert set(groups.answers()) == {rolled.release}
    assert names(groups) == {"web1": ["blue-web", "blue-worker"], "web2": []}
