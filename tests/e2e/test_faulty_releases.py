"""Releases that are wrong: each must be found out by its gate, name its cause, and leave the old release to users."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.events import GateFailed
from dojo_deploy.sandbox.inventory import bring_up
from tests.e2e.fleet import Fleet
from tests.e2e.looking import Watched, deploying, pm2_names, serves, variant

FAULTS = {"v3": "(500,", "v5": "connection refused", "v6": "wrong"}
# The ordinary run has each fault and each way of finding it once; `soak` has all.
USUAL = {("v3", "on"), ("v5", "off")}
CASES = [
    pytest.param(ref, prove, id=f"{ref}-prove-{prove}", marks=() if (ref, prove) in USUAL else pytest.mark.soak)
    for ref in FAULTS
    for prove in ("on", "off")
]


@pytest.mark.parametrize(("ref", "prove"), CASES)
def test_a_faulty_release_is_found_out_and_the_old_one_goes_on_serving(site: Fleet, ref: str, prove: str) -> None:
    before = site.release("v1")

    watched = deploying(site, ref, prove=prove, gate__within="4s", gate__grace="1s", probe=350, at_least=2000)

    undone_without_loss(watched)
    assert FAULTS[ref] in watched.of(GateFailed)[0].cause
    assert FAULTS[ref] in watched.output
    assert next(known for known in app.releases(site.inventory) if known.ref == ref).bad
    serves(site, before)


@pytest.mark.soak
def test_a_first_deployment_that_fails_ends_stopped_and_out_of_the_balancer(site: Fleet) -> None:
    path = site.inventory.with_name("first.yml")
    path.write_text("sandbox: {hosts: 3, app: first}\n")
    bring_up(path, {"hosts": 3, "app": "first"})
    first = Fleet(path)

    watched = deploying(first, "v3", prove="off", gate__within="4s", gate__grace="1s", batches='["100%"]')

    assert (watched.result.verdict, watched.result.exit_code) == ("rolled back", 20), watched.output
    census = first.census()
    assert census.verdict == "empty"
    assert {row["balancer"] for row in census.rows.values()} == {"drained"}
    assert not [name for names in pm2_names(first.site).values() for name in names if name.startswith("first-")]
    assert app.releases(first.inventory)[-1].bad
    with pytest.raises(urllib.error.HTTPError, match="502"):
        first.answers(1)


def undone_without_loss(watched: Watched) -> None:
    result = watched.result
    assert (result.verdict, result.exit_code) == ("rolled back", 20), watched.output
    assert result.load and result.load.failures == 0 and result.load.requests >= 2000, result.load
    assert result.census and result.census.verdict == "consistent"


def impatient(document: dict[str, Any]) -> None:
    document["app"]["processes"]["web"]["ready_within"] = "1s"


@pytest.mark.soak
@pytest.mark.parametrize("prove", ["on", "off"])
def test_a_slow_start_fails_an_impatient_gate(site: Fleet, tmp_path: Path, prove: str) -> None:
    before = site.release("v1")
    hasty = variant(site, tmp_path / "inventories" / "sandbox.yml", impatient)

    watched = deploying(hasty, "v4", prove=prove, gate__within="3s", gate__grace="0s", probe=350, at_least=2000)

    undone_without_loss(watched)
    assert "refused" in watched.of(GateFailed)[0].cause
    serves(site, before)


@pytest.mark.soak
def test_a_slow_start_passes_a_patient_gate(site: Fleet) -> None:
    watched = deploying(site, "v4", gate__within="30s", gate__grace="15s", batches='["100%"]', probe=350)

    assert watched.result.verdict == "done", watched.output
    assert watched.result.load and watched.result.load.failures == 0
    serves(site, watched.result.release)
