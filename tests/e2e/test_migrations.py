"""Migrations on the real database: one that fails, one that the old release could not bear, and Prisma's own table."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.errors import RefusedError
from tests.e2e.fleet import Fleet
from tests.e2e.looking import deploying, migrations, serves, told, variant

BROKEN = "CREATE TABLE half (id int);\nSELECT no_such_function();\n"
ROW = "INSERT INTO _prisma_migrations VALUES ('0001_cards', now(), NULL), ('{}', NULL, {})"


@pytest.fixture
def faulty(site: Fleet, tmp_path: Path) -> Fleet:
    """The fleet with a repository of its own: `broken` stops half-way, `contract` takes away what the old one reads."""
    repository = tmp_path / "app"
    git("clone", "--quiet", str(site.site.app.source.repository), str(repository))
    for branch, name, sql in (
        ("broken", "0003_half.sql", BROKEN),
        ("contract", "0003_drop.sql", "ALTER TABLE cards\n  DROP COLUMN name;\n"),
    ):
        git("checkout", "--quiet", "-b", branch, "v2", cwd=repository)
        (repository / "migrations" / name).write_text(sql)
        git("add", "--all", cwd=repository)
        git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", branch, cwd=repository)

    def own(document: dict[str, Any]) -> None:
        document["app"]["source"] = {"repository": str(repository)}

    return variant(site, tmp_path / "inventories" / "sandbox.yml", own)


def test_a_migration_that_fails_half_way_leaves_the_old_release_to_users(site: Fleet, faulty: Fleet) -> None:
    before = site.release("v1")

    watched = deploying(faulty, "broken", probe=350, at_least=1000)

    assert (watched.result.verdict, watched.result.exit_code) == ("rolled back", 20), watched.output
    assert "0003_half.sql: function no_such_function() does not exist" in watched.result.reason
    assert watched.result.load and watched.result.load.failures == 0, watched.result.load
    assert sql(site, "SELECT to_regclass('half') AS a") == "null"
    serves(site, before)


def test_a_contract_is_refused_before_anything_is_changed(site: Fleet, faulty: Fleet) -> None:
    before, runs = site.release("v1"), migrations(site)

    done = faulty.invoke("deploy", "--ref", "contract")

    assert done.returncode == 10, done.stdout + done.stderr
    assert "migrations/0003_drop.sql:2: data loss: column cards.name" in done.stderr
    assert "--allow-contract" in done.stderr
    unproven = faulty.invoke("deploy", "--ref", "contract", "--allow-contract", "--reason", "x", "--dry-run")
    assert (unproven.returncode, "was proven by a drill" in unproven.stderr) == (10, True), unproven.stderr
    assert migrations(site) == runs
    serves(site, before)


def test_prismas_own_table_says_what_ran_and_what_stopped_half_way(site: Fleet) -> None:
    sql(
        site,
        "CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz)",
    )
    line = {"migrate.run": "'npm run --silent migrate; : prisma'"}
    try:
        sql(site, ROW.format("0002_rarity", "NULL"))
        with pytest.raises(RefusedError, match="0002_rarity failed half-way"):
            app.plan(site.inventory, ref="v2", overrides=line)
        sql(site, "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL")
        pending = app.plan(site.inventory, ref="v2", overrides=line).notes
        sql(site, "UPDATE _prisma_migrations SET rolled_back_at = NULL, finished_at = now()")
        done = app.plan(site.inventory, ref="v2", overrides=line).notes
    finally:
        sql(site, "DROP TABLE _prisma_migrations")

    assert "pending by the database: migrations/0002_rarity.sql" in pending
    assert not [note for note in done if "pending" in note]
    assert not [note for note in app.plan(site.inventory, ref="v1", overrides=line).notes if "unread" in note]


@pytest.mark.soak
def test_a_migration_that_hangs_is_killed_with_all_it_started(site: Fleet) -> None:
    before = site.release("v1")
    line = "'echo Error: P3018; echo Migration name: 0002_rarity; sleep 7171 & sleep 7172'"

    watched = deploying(site, "v2", migrate__run=line, migrate__deadline="2s")

    assert (watched.result.verdict, watched.result.exit_code) == ("rolled back", 20), watched.output
    assert "killed at its deadline of 2 s" in watched.result.reason
    assert "resolve --rolled-back 0002_rarity" in watched.result.reason.splitlines()[0]
    assert set(told(site.site, "pgrep -f 'sleep 717[12]' || echo none").values()) == {"none"}
    serves(site, before)


@pytest.mark.soak
def test_the_tasks_tell_what_the_database_has_seen_and_run_the_line_in_what_serves(site: Fleet) -> None:
    before, runs = site.release("v1"), migrations(site)

    done = site.invoke("db.migrate")
    status = site.invoke("db.status")

    assert done.returncode == 0, done.stdout + done.stderr
    assert migrations(site) == runs + 1
    assert "applied   migrations/0001_cards.sql" in status.stdout, status.stderr
    serves(site, before)


def sql(fleet: Fleet, text: str) -> str:
    """A statement in the application's database, by its own driver; the first field of the answer, as JSON."""
    first = fleet.site.group(fleet.site.web)[0]
    script = (
        "const {Client}=require('pg');(async()=>{const c=new Client({connectionString:process.env.DATABASE_URL});"
        "await c.connect();const {rows}=await c.query(process.argv[1]);"
        "console.log(JSON.stringify(Object.values(rows[0]??{})[0]??null));await c.end()})()"
    )
    quoted = text.replace("'", "'\\''")
    line = f"cd {first.root}/slots/blue/current && . ./.dojo/env.sh && node -e \"{script}\" '{quoted}'"
    return told(fleet.site, line, [first.name])[first.name]


def git(*words: str, cwd: Path | None = None) -> None:
    subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, timeout=60)
