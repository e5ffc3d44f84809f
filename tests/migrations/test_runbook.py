"""The runbook's lines about migrations, run as they are typed: the damage, and what ours does with the same."""

from __future__ import annotations

import subprocess
import time

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.migrations import backfile
from dojo_deploy.strategies import Migrate
from tests.migrations.conftest import Project
from tests.migrations.test_programs import DEPLOY, until

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
READER = "psql ${DATABASE_URL%%\\?*} -qc 'BEGIN; SELECT count(*) FROM cards; SELECT pg_sleep(30)'"
ALTER = "psql -v ON_ERROR_STOP=1 ${DATABASE_URL%%\\?*} -c 'ALTER TABLE cards ADD rarity text'"


def begun(project: Project, line: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(["sh", "-c", f"exec {line}"], env=project.env, stdout=quiet, stderr=quiet)


def test_an_edited_migration_rolls_nothing_back_and_ends_0(prisma: Project) -> None:
    """The runbook's rollback: "edit migration file and create reverse migration"."""
    prisma.write(a="CREATE TABLE cards (id int)", b="ALTER TABLE cards ADD rarity text")
    assert prisma.shell(DEPLOY).returncode == 0
    file = prisma.folder / "prisma/migrations/b/migration.sql"
    file.write_text("ALTER TABLE cards DROP COLUMN rarity")

    typed = prisma.shell(DEPLOY)
    column = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'cards'::regclass AND attname = 'rarity'"
    assert (typed.returncode, prisma.sql(column)) == (0, "1"), "the damage: nothing was rolled back, and nobody said so"

    file.write_text("ALTER TABLE cards ADD rarity text")
    backfile.write(backfile.reverse(prisma.folder / "prisma" / "migrations", "b", now=time.time()))
    ours = prisma.guard("run", DEPLOY)
    assert (ours.returncode, prisma.sql(column)) == (0, "0"), ours.stdout


def test_what_has_run_cannot_be_resolved_away(prisma: Project) -> None:
    prisma.write(a="CREATE TABLE cards (id int)")
    assert prisma.shell(DEPLOY).returncode == 0

    typed = prisma.shell("npx --no-install prisma migrate resolve --rolled-back a")

    assert typed.returncode == 1
    assert "a" in prisma.guard("ask", DEPLOY).stdout.splitlines()


@pytest.mark.parametrize("name", ["add_user_preferences", "rollback_user_preferences"])
def test_the_lines_that_may_reset_a_database_are_no_way_to_migrate(name: str) -> None:
    with pytest.raises(ConfigError, match="prisma migrate dev may reset the database or lose data"):
        Migrate(f"npx prisma migrate dev --name {name}")


def test_an_alter_behind_a_reader_stops_everybody_and_ours_gives_up_in_time(bare: Project) -> None:
    bare.sql("CREATE TABLE cards (id int)")
    reader = begun(bare, READER)
    try:
        until(lambda: bare.sql("SELECT count(*) FROM pg_locks WHERE relation = 'cards'::regclass") != "0")
        typed = begun(bare, ALTER)
        until(lambda: bare.sql(WAITING) == "1")
        user = begun(bare, "psql ${DATABASE_URL%%\\?*} -c 'SELECT count(*) FROM cards'")
        until(lambda: bare.sql(WAITING) == "2")  # the damage: who only reads waits behind the one that waits
        typed.kill()
        typed.wait(20)
        assert bare.sql(WAITING) == "2", "and they wait on, though whoever typed it has gone"
        bare.sql(f"SELECT pg_terminate_backend(pid) {WAITING.partition(' count(*) ')[2]}")
        user.wait(20)
        until(lambda: bare.sql(WAITING) == "0")

        ours = bare.guard("run", ALTER, PGOPTIONS="-c lock_timeout=500")

        assert (ours.returncode, "canceling statement due to lock timeout" in ours.stdout) == (1, True), ours.stdout
        assert bare.sql(WAITING) == "0"
        assert bare.sql("SELECT count(*) FROM cards") == "0"
    finally:
        reader.terminate()
        reader.wait(20)
