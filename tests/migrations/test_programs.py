"""What runs on a host around a migration tool: the lock, the table, and what is known after something went wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from dojo_deploy.migrations.programs import LOCK
from tests.migrations.conftest import Project

DEPLOY = "npx --no-install prisma migrate deploy"
HELD = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND granted"

SLEEPING = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("by", ["pg", "psql"])
def test_two_migrations_never_meet_and_a_killed_one_leaves_no_lock(by: str, request: pytest.FixtureRequest) -> None:
    project: Project = request.getfixturevalue("prisma" if by == "pg" else "bare")
    assert f"# lock by {by}" in project.guard("ask", "true").stdout
    first = project.start("echo began >began; sleep 60")
    try:
        until((project.folder / "began").exists)

        second = project.guard("run", "echo never >never", DOJO_LOCK_WITHIN="0.5")

        assert (second.returncode, "another migration is under way: pid" in second.stdout) == (75, True), second.stdout
        assert not (project.folder / "never").exists()
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    until(lambda: project.sql(HELD) == "0")
    assert project.guard("run", "true").returncode == 0


def test_a_lock_that_cannot_be_had_keeps_no_migration_away(bare: Project) -> None:
    done = bare.guard("run", "echo ran", DATABASE_URL="postgresql://x@127.0.0.1:1/x")

    assert (done.returncode, "no advisory lock: " in done.stdout, "ran\n" in done.stdout) == (0, True, True)


def test_an_index_is_built_concurrently_beside_the_lock(bare: Project) -> None:
    bare.sql("CREATE TABLE cards (id int)")
    done = bare.guard("run", "psql ${DATABASE_URL%%\\?*} -c 'CREATE INDEX CONCURRENTLY i ON cards (id)'")

    assert done.returncode == 0, done.stdout
    assert bare.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == "t"


@pytest.mark.parametrize(
    ("line", "table", "insert", "names"),
    [
        (
            "dbmate up",
            "CREATE TABLE schema_migrations (version text)",
            "INSERT INTO schema_migrations VALUES ('{}')",
            ["20260101", "20260102"],
        ),
        (
            "npx node-pg-migrate up",
            "CREATE TABLE pgmigrations (id serial, name text)",
            "INSERT INTO pgmigrations (name) VALUES ('{}')",
            ["1_a", "2_b"],
        ),
    ],
)
def test_tables_of_other_tools_are_read(bare: Project, line: str, table: str, insert: str, names: list[str]) -> None:
    assert bare.guard("ask", line).stdout.splitlines()[2:] == ["# table read", ""]
    bare.sql(table)
    for name in names:
        bare.sql(insert.format(name))

    assert bare.guard("ask", line).stdout.splitlines()[3:] == names


def test_the_tool_is_found_behind_a_script_and_its_table_in_the_schema_of_the_address(bare: Project) -> None:
    (bare.folder / "package.json").write_text('{"scripts": {"migrate": "prisma migrate deploy"}}')
    columns = "migration_name text, finished_at timestamptz, rolled_back_at timestamptz"
    bare.sql(f"CREATE SCHEMA tcg; CREATE TABLE tcg._prisma_migrations ({columns})")
    bare.sql("INSERT INTO tcg._prisma_migrations VALUES ('0001_a', now(), NULL)")
    address = bare.env["DATABASE_URL"].replace("schema=public", "schema=tcg")

    assert "0001_a" in bare.guard("ask", "npm run migrate", DATABASE_URL=address).stdout.splitlines()
    assert "# tool unknown" in bare.guard("ask", "npm run other").stdout


def test_a_loop_over_files_stops_at_the_first_that_fails(bare: Project) -> None:
    for name, text in (("1.sql", "CREATE TABLE a ()"), ("2.sql", "SELECT nothing"), ("3.sql", "CREATE TABLE c ()")):
        (bare.folder / name).write_text(text)
    line = "for f in *.sql; do psql -v ON_ERROR_STOP=1 ${DATABASE_URL%%\\?*} -f $f; done"

    typed = bare.shell(line)
    assert (typed.returncode, bare.sql("SELECT to_regclass('c')")) == (0, "c"), "the damage of the line as typed"
    bare.sql("DROP TABLE a; DROP TABLE c")
    ours = bare.guard("run", line)

    assert (ours.returncode, bare.sql("SELECT to_regclass('c')")) == (3, "")


def test_prismas_engine_fails_half_way_and_the_table_says_where(prisma: Project) -> None:
    prisma.write(a="CREATE TABLE a (id int)", b="CREATE TABLE b (id int); SELECT no_such_function()", c="SELECT 1")

    done = prisma.guard("run", DEPLOY)

    assert done.returncode == 1, done.stdout
    assert "the database has now seen a\n" in done.stdout
    assert "dojo: stopped half-way: b" in done.stdout
    again = prisma.guard("run", DEPLOY)
    assert (again.returncode, "has now seen nothing new" in again.stdout) == (77, True)
    assert "the line ended 1, and nothing was migrated" in again.stdout
    assert "failed b" in prisma.guard("ask", DEPLOY).stdout.splitlines()
    (prisma.folder / "prisma/migrations/b/migration.sql").write_text("CREATE TABLE b (id int)")
    assert prisma.shell("npx --no-install prisma migrate resolve --rolled-back b").returncode == 0
    assert "has now seen b, c" in prisma.guard("run", DEPLOY).stdout


@pytest.mark.parametrize("committed", [False, True])
def test_a_connection_lost_in_a_migration_is_decided_by_the_table(prisma: Project, committed: bool) -> None:
    prisma.write(a=f"CREATE TABLE a (id int); {'COMMIT;' if committed else ''} SELECT pg_sleep(60)")
    running = prisma.start(DEPLOY)
    until(lambda: prisma.sql(f"SELECT count(*) {SLEEPING}") == "1")
    prisma.sql(f"SELECT pg_terminate_backend(pid) {SLEEPING}")
    said = running.communicate(timeout=30)[0]

    assert running.returncode == 1
    assert "dojo: stopped half-way: a" in said
    assert prisma.sql("SELECT to_regclass('a')") == ("a" if committed else "")
    again = prisma.guard("run", DEPLOY, DOJO_BEGUN="1")
    assert (again.returncode, "an earlier attempt of this run stopped half-way: a" in again.stdout) == (76, True)


def test_an_attempt_that_vanished_goes_on_only_when_the_table_says_that_nothing_is_half_done(prisma: Project) -> None:
    prisma.write(a="CREATE TABLE a (id int)", b="CREATE TABLE b (id int)")
    assert prisma.guard("run", DEPLOY).returncode == 0
    prisma.write(c="CREATE TABLE c (id int)")

    done = prisma.guard("run", DEPLOY, DOJO_BEGUN="1")
    blind = prisma.guard("run", "touch ran", DOJO_BEGUN="1")
    told = prisma.guard("run", "touch ran", DOJO_BEGUN="1", DOJO_APPLIED="echo 1; echo failed 2")

    assert (done.returncode, "has now seen c" in done.stdout) == (0, True), done.stdout
    assert [blind.returncode, told.returncode] == [76, 76]
    assert "nothing says how far it came" in blind.stdout
    assert "stopped half-way: 2" in told.stdout
    assert not (prisma.folder / "ran").exists()


@pytest.mark.soak
def test_prismas_own_lock_in_somebody_elses_hands_lets_nothing_run(prisma: Project) -> None:
    prisma.write(a="CREATE TABLE a (id int)")
    held = prisma.start("psql ${DATABASE_URL%%\\?*} -qc 'SELECT pg_advisory_lock(72707369), pg_sleep(60)'")
    try:
        until(lambda: prisma.sql("SELECT count(*) FROM pg_locks WHERE objid = 72707369 AND granted") == "1")
        typed = prisma.shell(f"timeout 20 {DEPLOY}")  # a person's own command, beside ours
        ours = prisma.guard("run", DEPLOY, DOJO_LOCK_WITHIN="0.5")
    finally:
        os.killpg(held.pid, signal.SIGKILL)
        held.communicate()

    assert typed.returncode != 0
    assert ours.returncode == 75
    assert prisma.sql("SELECT to_regclass('a')") == ""
