"""Prisma's own engine in a fleet: one that stops half-way, a contract, and the way back past it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.sandbox.inventory import bring_up
from tests.e2e.fleet import Fleet
from tests.e2e.looking import deploying, serves, told, variant
from tests.e2e.test_migrations import git
from tests.migrations.conftest import PLAYED, SCHEMA

LINE = "npx --no-install prisma migrate deploy"
HALF = "CREATE TABLE half (id int);\nSELECT no_such_function();\n"


@pytest.fixture(scope="module")
def shelf(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """An application of its own on the fleet's hosts, which migrates by Prisma; `good` serves."""
    path = fleet.inventory.with_name("shelf.yml")
    path.write_text("sandbox: {hosts: 3, app: shelf}\n")
    bring_up(path, {"hosts": 3, "app": "shelf"})
    plain = Fleet(path)
    folder = tmp_path_factory.mktemp("shelf")
    repository = made(folder / "app", str(plain.site.app.source.repository))

    def prisma(document: dict[str, Any]) -> None:
        document["app"]["source"] = {"repository": str(repository)}
        document["app"]["build"]["run"] = ["npm install --no-audit --no-fund --install-links", "npm run build"]
        document["database"]["migrations"] = "_prisma_migrations"
        document["strategies"]["rolling"]["migrate"] = {"run": LINE, "deadline": "60s"}

    site = variant(plain, folder / "inventories" / "shelf.yml", prisma)
    first = deploying(site, "good", batches='["100%"]')
    assert first.result.verdict == "done", first.output
    yield site


def made(repository: Path, origin: str) -> Path:
    git("clone", "--quiet", origin, str(repository))
    git("checkout", "--quiet", "-b", "good", "v1", cwd=repository)
    shutil.copytree(PLAYED, repository / "played")
    about = json.loads((repository / "package.json").read_text())
    about["dependencies"]["prisma"] = "file:./played"
    (repository / "package.json").write_text(json.dumps(about))
    (repository / "package-lock.json").unlink()
    base = repository / "prisma" / "migrations"
    base.mkdir(parents=True)
    (base / "migration_lock.toml").write_text('provider = "postgresql"\n')
    (repository / "prisma" / "schema.prisma").write_text(SCHEMA)
    cards = (repository / "migrations" / "0001_cards.sql").read_text()
    for branch, parent, name, sql in (
        ("good", "", "1_cards", cards),
        ("half", "good", "2_half", HALF),
        ("mended", "good", "2_half", "CREATE TABLE half (id int);\n"),
        ("contract", "mended", "3_drop", "ALTER TABLE half\n  DROP COLUMN id;\n"),
    ):
        if parent:
            git("checkout", "--quiet", "-b", branch, parent, cwd=repository)
        (base / name).mkdir(exist_ok=True)
        (base / name / "migration.sql").write_text(sql)
        git("add", "--all", cwd=repository)
        git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", branch, cwd=repository)
    return repository


def prisma(site: Fleet, release: str, words: str) -> str:
    """Prisma as a person types it, on the first host."""
    first = site.site.group(site.site.web)[0]
    line = f"cd {first.root}/releases/{release} && . ./.dojo/env.sh && npx --no-install prisma migrate {words} 2>&1; :"
    return told(site.site, line, [first.name])[first.name]


@pytest.mark.soak
def test_one_that_stops_half_way_leaves_the_old_release_and_says_what_to_type(shelf: Fleet) -> None:
    before = shelf.release("good")

    watched = deploying(shelf, "half", probe=200, at_least=500)

    assert (watched.result.verdict, watched.result.exit_code) == ("rolled back", 20), watched.output
    assert "2_half stopped half-way" in watched.result.reason
    assert "prisma migrate resolve --rolled-back 2_half` (it shall run again)" in watched.result.reason
    assert "resolve --applied 2_half` (finished by hand)" in watched.result.reason
    assert watched.result.load and watched.result.load.failures == 0, watched.result.load
    serves(shelf, before)
    blocked = shelf.invoke("deploy", "--ref", "mended")
    assert (blocked.returncode, "2_half failed half-way in an earlier run (P3009)" in blocked.stderr) == (10, True)
    prisma(shelf, watched.result.release, "resolve --rolled-back 2_half")
    mended = deploying(shelf, "mended")
    assert mended.result.verdict == "done", mended.output
    assert "under the advisory lock" in "\n".join(mended.result.plan.notes if mended.result.plan else ())
    serves(shelf, mended.result.release)


def test_a_contract_needs_a_proof_and_behind_it_no_rollback_goes_back(shelf: Fleet) -> None:
    if not shelf.release("mended"):
        assert deploying(shelf, "mended").result.verdict == "done"
    old = shelf.release("mended")
    bare = shelf.invoke("deploy", "--ref", "contract", "--allow-contract")
    assert (bare.returncode, "3_drop/migration.sql:2: data loss: column half.id" in bare.stderr) == (10, True)
    assert "no backup younger than 24 hours was proven by a drill\n  → invoke backup.create backup.drill" in bare.stderr
    serves(shelf, old)
    for task in ("backup.create", "backup.drill"):
        done = shelf.invoke(task)
        assert done.returncode == 0, done.stdout + done.stderr

    there = deploying(shelf, "contract", migrate__allow_contract="true")

    assert there.result.verdict == "done", there.output
    assert "to fall back on: the proven backup" in "\n".join(there.result.plan.notes if there.result.plan else ())
    for words in (["rollback"], ["rollback", "--to", old], ["deploy", "--ref", "mended"]):
        refused = shelf.invoke(*words)
        assert refused.returncode == 10, refused.stdout + refused.stderr
        assert "cannot run on the schema as it is: the database has seen\n3_drop:2: data loss" in refused.stderr
        assert "invoke backup.restore" in refused.stderr
    serves(shelf, there.result.release)
    back = shelf.invoke("rollback", "--allow-contract", "--reason", "nobody: reads it")
    assert back.returncode == 0, back.stdout + back.stderr
    serves(shelf, old)
