"""What other programs and people type: exit codes, JSON, a library, strategies of one's own; and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import currents, serves, variant

SETS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
LIBRARY = """
import sys
from dojo_deploy import Inventory, deploy, load_inventory
from dojo_deploy.plan import Gate
from dojo_deploy.strategies import Bake, Rolling

site = load_inventory(sys.argv[1])
assert isinstance(site, Inventory)
gate = Gate(every=0.1, grace=3.0, within=20.0, in_a_row=2)
result = deploy(site, Rolling(batches=("100%",), gate=gate, bake=Bake(first=0.0)), ref="v2", limit="web1")
print(result.verdict, result.exit_code, result.release)
"""
OWN = """
from dataclasses import dataclass, replace
from dojo_deploy.strategies import Bake, Rolling

@dataclass(frozen=True)
class AllAtOnce(Rolling):
    batches: tuple[int | str, ...] = ("50%", "100%")
    bake: Bake = Bake(first=0.0)

    def plan(self, site, release, seen):
        return replace(super().plan(site, release, seen), strategy="all at once", notes=("made by our company",))
"""


def test_a_library_deploys_without_terminal_or_command_line(site: Fleet, tmp_path: Path) -> None:
    old = site.release("v1")

    done = subprocess.run(
        [sys.executable, "-c", LIBRARY, str(site.inventory)],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    verdict, code, release = done.stdout.split()
    assert (verdict, code, done.stderr) == ("partial", "0", "")
    assert currents(site) == {"web1": release, "web2": old, "web3": old}
    assert set(site.answers()) == {old, release}


def test_a_strategy_of_ones_own_runs_from_any_folder_and_every_json_is_valid(site: Fleet, tmp_path: Path) -> None:
    package = tmp_path / "lib" / "our_company"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "deploys.py").write_text(OWN)
    environ = {**os.environ, "DOJO_INVENTORY": str(site.inventory), "PYTHONPATH": str(tmp_path / "lib")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def dojo(*words: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("dojo")), *words]
        return subprocess.run(
            program, cwd=elsewhere, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )

    done = dojo("deploy", "--json", "--no-probe", "--ref", "v2", "--strategy", "our_company.deploys:AllAtOnce", *SETS)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    made = next(line for line in lines if line.get("event") == "PlanMade")["plan"]
    assert (made["strategy"], made["notes"]) == ("all at once", ["made by our company"])
    assert lines[-1] | {"event": "RunFinished", "verdict": "done", "exit_code": 0} == lines[-1]
    new = site.release("v2")
    serves(site, new)
    reports = {verb: json.loads(dojo(verb, "--json").stdout) for verb in ("status", "releases", "history")}
    assert reports["status"]["verdict"] == "consistent"
    assert {known["ref"] for known in reports["releases"]} >= {"v1", "v2"}
    assert reports["history"][0]["verdict"] == "done" and reports["history"][0]["release"] == new

    back = dojo("rollback", "--json", "--no-probe", "--set", "gate.every=100ms")
    assert back.returncode == 0, back.stdout[-2000:]
    assert json.loads(back.stdout.splitlines()[-1])["verdict"] == "done"
    serves(site, site.release("v1"))


def test_the_program_runs_as_a_module_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dojo_deploy", "--list"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and "deploy" in done.stdout, done.stderr


def missing_shared_file(document: dict[str, Any]) -> None:
    document["app"]["shared"].append("config/licence.key")


def host_is_down(document: dict[str, Any]) -> None:
    document["hosts"]["web"][1]["port"] = 1


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], tuple[str, ...]]] = {
    "a missing shared file": (missing_shared_file, ("web1", "config/licence.key", "scp -P ")),
    "a host that is down": (host_is_down, ("web2",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_before_any_change(site: Fleet, tmp_path: Path, case: str) -> None:
    change, said = REFUSED[case]
    unfit = variant(site, tmp_path / "inventories" / "sandbox.yml", change)

    refused = unfit.invoke("deploy", "--ref", "v2", *SETS)

    assert refused.returncode == 10, refused.stdout + refused.stderr
    assert all(word in refused.stderr for word in said), refused.stderr
    unchanged(site)


def test_a_foreign_artifact_is_refused_before_any_change(site: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "app.tar.gz"
    note = {"commit": "0123456789abcdef", "platform": {"system": "linux", "machine": "sparc64"}}
    with gzip.open(file, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, data in (("server.js", b""), (".dojo-release.json", json.dumps(note).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

    refused = site.invoke("deploy", "--artifact", str(file), *SETS)

    assert refused.returncode == 10, refused.stdout + refused.stderr
    assert "sparc64" in refused.stderr and "build.on" in refused.stderr
    unchanged(site)


def test_a_host_without_room_is_refused_before_any_change(site: Fleet, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("a file system of 512 KiB needs the right to mount one")

    def cramped(document: dict[str, Any]) -> None:
        document["hosts"]["web"][1]["root"] = str(small / "app")

    try:
        refused = variant(site, tmp_path / "inventories" / "sandbox.yml", cramped).invoke("deploy", "--ref", "v2")
        assert refused.returncode == 10, refused.stdout + refused.stderr
        assert "web2 has 0 MiB free" in refused.stderr and "app.keep" in refused.stderr
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
    unchanged(site)


def test_wrong_words_end_2_and_name_the_near_miss(site: Fleet) -> None:
    for words, said in (
        (("deploy", "--strategy", "roling"), "rolling"),
        (("deploy", "--ref", "v2", "--limit", "web9"), "web1"),
        (("deploy", "--ref", "v2", "--set", "bake.frist=3s"), "first"),
    ):
        done = site.invoke(*words)
        assert done.returncode == 2, done.stdout + done.stderr
        assert said in done.stderr, done.stderr
    unchanged(site)


def unchanged(site: Fleet) -> None:
    """Nothing runs otherwise than before, nothing is open, and the next run can have the lock."""
    serves(site, site.release("v1"))
    assert site.invoke("resume").stdout.startswith("nothing is open")
