"""The runbook's own lines on a database, and what they do; then ours on the same input."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dojo_deploy.app import backups
from dojo_deploy.errors import BackupError, DamagedError
from tests.backups.bed import NAME, ROLE, Bed, Cluster
from tests.backups.shop import connection

CARDS = 8000


class Shell:
    """A terminal on the database's host, as the runbook's reader has it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        folder.mkdir()

    def __call__(self, line: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**connection(self.cluster), "PATH": f"{self.cluster.bin}:/usr/bin:/bin", "PGDATABASE": NAME, **more}
        return subprocess.run(
            ["/bin/sh", "-c", line], cwd=self.folder, env=env, capture_output=True, text=True, timeout=120
        )

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    def halve(self, name: str, share: float = 0.6) -> None:
        data = (self.folder / name).read_bytes()
        (self.folder / name).write_bytes(data[: int(len(data) * share)])


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> Shell:
    return Shell(cluster, tmp_path / "shell")


@pytest.fixture
def spare(cluster: Cluster) -> str:
    """An empty database to restore into."""
    cluster.psql("DROP DATABASE IF EXISTS spare WITH (FORCE)")
    cluster.psql(f"CREATE DATABASE spare OWNER {ROLE}")
    return "spare"


def test_a_second_dump_of_the_day_that_fails_destroys_the_first(shell: Shell, local: Bed) -> None:
    line = "pg_dump > backup_$(date +%Y%m%d).sql"
    assert shell(line).returncode == 0
    (name,) = (path.name for path in shell.folder.iterdir())
    assert shell.size(name) > 1_000_000
    assert shell(line, PGPORT="1").returncode == 1
    assert shell.size(name) == 0

    first = backups.back_up(local.site)
    broken = local.with_(database=local.cluster.settings(port=1))
    with pytest.raises(BackupError):
        backups.back_up(broken.site)
    assert [each.id for each in backups.listed(local.site).backups] == [first.id]
    assert backups.verify(local.site).id == first.id


def test_a_pipe_hides_that_the_dump_failed(shell: Shell, local: Bed) -> None:
    assert shell("pg_dump | gzip > backup.sql.gz", PGPORT="1").returncode == 0
    assert shell.size("backup.sql.gz") == 20

    with pytest.raises(BackupError):
        backups.back_up(local.with_(database=local.cluster.settings(port=1)).site)
    assert local.keys() == ()


def test_pg_restore_list_verifies_neither_a_plain_dump_nor_a_damaged_one(shell: Shell, local: Bed) -> None:
    shell("pg_dump > plain.sql; pg_dump -Fc > custom.dump; cp custom.dump flipped.dump")
    plain = shell("pg_restore --list plain.sql")
    assert (plain.returncode, "text format dump" in plain.stderr) == (1, True)
    shell.halve("custom.dump")
    data = bytearray((shell.folder / "flipped.dump").read_bytes())
    data[len(data) // 2] ^= 1
    (shell.folder / "flipped.dump").write_bytes(bytes(data))
    for name in ("custom.dump", "flipped.dump"):
        assert shell(f"pg_restore --list {name}").returncode == 0, "it noticed"
        assert shell(f"pg_restore -f /dev/null {name}").returncode == 1, "what ours asks as well"

    manifest = backups.back_up(local.site)
    local.put(f"backups/{manifest.id}/database.dump", lambda whole: whole[: len(whole) * 6 // 10])
    with pytest.raises(DamagedError, match="not what was written"):
        backups.verify(local.site)


@pytest.mark.parametrize("flags", ["", pytest.param("-v ON_ERROR_STOP=1", marks=pytest.mark.soak),
                                   pytest.param("-1", marks=pytest.mark.soak)])  # fmt: skip
def test_psql_restores_half_a_dump_and_says_nothing(shell: Shell, spare: str, local: Bed, flags: str) -> None:
    shell("pg_dump > backup.sql")
    shell.halve("backup.sql")
    done = shell(f"psql -q {flags} {spare} < backup.sql")
    assert (done.returncode, "ERROR" in done.stderr) == (0, False)
    assert int(shell.cluster.psql("SELECT count(*) FROM cards", database=spare, user=ROLE)) < CARDS

    manifest = backups.back_up(local.site)
    local.put(f"backups/{manifest.id}/database.dump", lambda whole: whole[: len(whole) * 6 // 10])
    proof = backups.drill(local.site)
    assert "not what was written" in proof.wrong[0]


def test_a_dump_over_what_is_there_fails_and_ends_0(shell: Shell, spare: str) -> None:
    shell("pg_dump > backup.sql")
    assert shell(f"psql -q {spare} < backup.sql").returncode == 0
    again = shell(f"psql -q {spare} < backup.sql")
    assert again.returncode == 0
    assert again.stderr.count("ERROR") > 4


def test_a_dump_has_no_roles_and_ours_has(shell: Shell, local: Bed) -> None:
    shell("pg_dump > backup.sql")
    assert "CREATE ROLE" not in (shell.folder / "backup.sql").read_text()

    manifest = backups.back_up(local.site)
    texts: list[bytes] = []
    local.put(f"backups/{manifest.id}/globals.sql", lambda data: texts.append(data) or data)
    assert b"CREATE ROLE shop" in texts[0]


def test_what_belongs_to_a_role_that_is_gone_is_restored_with_errors_that_end_0(shell: Shell, spare: str) -> None:
    shell.cluster.psql("CREATE ROLE gone; GRANT SELECT ON cards TO gone", database=NAME)
    try:
        shell("pg_dump > backup.sql")
    finally:
        shell.cluster.psql("DROP OWNED BY gone; DROP ROLE gone", database=NAME)
    done = shell(f"psql -q {spare} < backup.sql")
    assert (done.returncode, 'role "gone" does not exist' in done.stderr) == (0, True)
    # Ours ends 20 and changes nothing, or knows no other roles: test_faults.py.


def test_dropdb_fails_while_anyone_is_connected_and_createdb_forgets(shell: Shell, spare: str) -> None:
    shell.cluster.psql(f"ALTER DATABASE {spare} SET search_path TO shop; REVOKE ALL ON DATABASE {spare} FROM PUBLIC")
    with subprocess.Popen(
        [shell.cluster.bin / "psql", "-d", spare, "-c", "SELECT pg_sleep(30)"],
        env=connection(shell.cluster), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as other:  # fmt: skip
        active = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{spare}'"
        while shell.cluster.psql(active) == "0":
            assert other.poll() is None
        assert shell(f"dropdb {spare}").returncode == 1
        other.kill()
    shell.cluster.psql(f"DROP DATABASE {spare} WITH (FORCE)")
    assert shell(f"createdb {spare}").returncode == 0
    about = f"SELECT coalesce(datacl::text, '-') FROM pg_database WHERE datname = '{spare}'"
    assert shell.cluster.psql(about) == "-"
    # What a restore of ours keeps: test_restore.py, test_what_comes_back_is_the_database_as_it_was.
