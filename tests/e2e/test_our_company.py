"""The example of a company's own package: its tests, and its strategy, probe and notifier at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.looking import serves, variant

EXAMPLE = Path(__file__).parents[2] / "examples" / "our_company"
CANARY = ("--strategy", "our_company.deploys:Canary", "--ref", "v2", "--set", "gate.every=100ms", "--set", "watch=1s")
ASKS = ("--set", "gate.probes=[release, health, room]")


def dojo(site: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dojo")), *words, "-i", str(site.inventory)],
        cwd=site.inventory.parents[1], env={**os.environ, "PYTHONPATH": str(EXAMPLE)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def asking(site: Fleet, tmp_path: Path) -> Fleet:
    """The same fleet, whose inventory names the company's probe."""

    def change(document: dict[str, Any]) -> None:
        document["probes"]["room"] = {"kind": "our_company.probes:Room", "free": 1000}

    # Read by this process too, which has not the package on its path: only the file is made here.
    path = tmp_path / "inventories" / "ours.yml"
    variant(site, path, change)
    return Fleet(path)


def test_its_own_tests_pass_the_contract_suites() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLE, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
    assert "skipped" not in done.stdout, done.stdout


def test_its_strategy_and_probe_are_planned_as_ours_are(asking: Fleet) -> None:
    done = dojo(asking, "deploy", "--dry-run", "--json", *CANARY, *ASKS)

    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads(done.stdout)
    assert (plan["strategy"], plan["notes"][-1]) == ("canary", "the canaries are watched for 1 s")
    batches = [[lane["host"] for lane in stage["lanes"]] for stage in plan["stages"] if stage["phase"] == "batch"]
    assert batches == [["web1"], ["web2"], ["web3"]]
    switch = next(step for stage in plan["stages"] for lane in stage["lanes"] for step in lane["steps"] if step["gate"])
    assert "room" in switch["gate"]


@pytest.mark.soak
def test_its_strategy_deploys_behind_its_own_gate_and_undoes_a_broken_release(site: Fleet, asking: Fleet) -> None:
    old = site.release("v1")
    full = json.loads(asking.inventory.read_text())
    full["probes"]["room"]["free"] = 10**14
    asking.inventory.with_name("full.yml").write_text(json.dumps(full))

    refused = dojo(Fleet(asking.inventory.with_name("full.yml")), "deploy", "--no-probe", *CANARY, *ASKS)
    assert refused.returncode == 20 and "MiB free of" in refused.stdout, refused.stdout + refused.stderr
    serves(site, old)

    done = dojo(asking, "deploy", "--no-probe", *CANARY, *ASKS)
    assert done.returncode == 0 and "canary" in done.stdout, done.stdout + done.stderr
    serves(site, site.release("v2"))
