"""The guides, typed: each command of each, in a checkout with an inventory of real hosts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.guides import typed
from tests.e2e.fleet import Fleet
from tests.e2e.looking import serves
from tests.e2e.pipelines import Pipelines, machine

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# Guide -> what serves before it, and after it. The one for the night is tried in every run.
GUIDED = {"rollback": ("v2", "v1"), "first-deployment": ("v1", "v1"), "ci": ("v1", "v1"), "balancer": ("v1", "v1")}


def test_every_guide_is_tried() -> None:
    assert {path.stem for path in GUIDES.glob("*.md")} == set(GUIDED)


@pytest.mark.soak
@pytest.mark.parametrize("name", GUIDED)
def test_what_a_guide_says_to_type_does_what_it_says(site: Fleet, tmp_path: Path, name: str) -> None:
    before, after = GUIDED[name]
    if before == "v2":
        assert site.deploy("v2").verdict == "done"
    known_hosts = Path(site.site.document["ssh"]["known_hosts"]).read_text()
    pipelines = Pipelines(site, tmp_path, known_hosts)
    folder, home = pipelines.fresh("v2")
    subprocess.run(["git", "fetch", "--quiet", "--tags"], cwd=folder, check=True, timeout=30)
    key = home / ".ssh" / "id_deploy"
    key.parent.mkdir(mode=0o700)
    key.write_text(pipelines.key.read_text())
    key.chmod(0o600)
    (folder / "inventories" / "known_hosts").write_text(known_hosts)
    document = json.loads((folder / "inventories" / "production.yml").read_text())
    document["balancer"] = {"kind": "none"}
    (folder / "inventories" / "without.yml").write_text(json.dumps(document))

    for one in typed(GUIDES / f"{name}.md"):
        done = subprocess.run(
            ["bash", "-c", one.command],
            cwd=folder,
            env=machine(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        sys.stdout.write(f"$ {one.command}\n{done.stdout}")
        assert done.returncode == one.status, f"{one.command}: ends {done.returncode}\n{done.stdout}"
        assert one.missing(done.stdout) == [], f"{one.command}:\n{done.stdout}"

    serves(site, site.release(after))
