"""One host alone, no balancer, no processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app, sandbox
from dojo_deploy.sandbox.inventory import bring_up, home
from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import serves, told, variant

GAP = "no balancer: each host serves nothing while its processes restart"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One web host behind nginx, with `v1`."""
    inventory = tmp_path_factory.mktemp("alone") / "inventories" / "sandbox.yml"
    inventory.parent.mkdir()
    inventory.write_text("sandbox: {hosts: 1}\n")
    bring_up(inventory, {"hosts": 1})
    try:
        fleet = Fleet(inventory)
        fleet.reset("v1")
        yield fleet
    finally:
        sandbox.down(home(inventory, {}), destroy=True)


def test_one_host_alone_behind_nginx_loses_no_request(alone: Fleet) -> None:
    result = alone.deploy("v2", probe=400, at_least=5000)

    assert (result.verdict, result.exit_code) == ("done", 0), result.reason
    assert result.plan and "reloaded in place" in " ".join(result.plan.notes)
    assert result.load and result.load.failures == 0 and result.load.requests >= 5000
    serves(alone, result.release)


@pytest.mark.parametrize(("mode", "notes"), [("fork", (GAP,)), ("cluster", ())])
def test_without_a_balancer_the_plan_states_the_gap_before_it_happens(
    alone: Fleet, tmp_path: Path, mode: str, notes: tuple[str, ...]
) -> None:
    def bare(document: dict[str, Any]) -> None:
        document["balancer"] = "none"
        document["app"]["processes"]["web"]["mode"] = mode

    direct = variant(alone, tmp_path / "inventories" / "sandbox.yml", bare)

    plan = app.plan(direct.inventory, "rolling", ref="v2", overrides=QUICK)

    assert plan.notes == notes
    assert (GAP in direct.invoke("deploy", "--ref", "v2", "--dry-run").stdout) == bool(notes)


def test_a_static_site_is_switched_and_rolled_back_by_its_link(alone: Fleet, tmp_path: Path) -> None:
    def static(document: dict[str, Any]) -> None:
        document["app"] |= {"name": "pages", "processes": {}, "shared": []}
        document["app"]["build"] = {"run": []}
        del document["app"]["env_file"], document["url"], document["probes"]
        for host in (*document["hosts"]["web"], *document["hosts"]["lb"]):
            host["root"] = str(Path(host["root"]).with_name("pages"))
            host.pop("ports", None)
        document["balancer"] = "none"
        document["strategies"]["rolling"]["migrate"] = None
        for strategy in document["strategies"].values():
            strategy["gate"] = {**strategy["gate"], "probes": ["release", "health"]}

    pages = variant(alone, tmp_path / "inventories" / "pages.yml", static)
    current = f"{pages.site.hosts['web1'].root}/slots/blue/current"

    first = pages.deploy("v1")
    assert first.verdict == "done", first.reason
    assert "edition" in (page := told(pages.site, f"cat {current}/public/index.html")["web1"])
    second = pages.deploy("v2")

    assert second.verdict == "done", second.reason
    assert told(pages.site, f"cat {current}/public/index.html")["web1"] != page
    assert told(pages.site, f"readlink {current}")["web1"].endswith(second.release)
    assert app.rollback(pages.inventory).verdict == "done"
    assert told(pages.site, f"cat {current}/public/index.html")["web1"] == page
    assert {row["current"] for row in pages.census().rows.values()} == {first.release}
