"""A backup is made, read again, restored on trial; whatever breaks on the way, there is none, or it is found out."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dojo_deploy.app import backups
from dojo_deploy.database import Backups
from dojo_deploy.databases.postgres_scripts import MARKED
from dojo_deploy.engine import ledger, lock
from dojo_deploy.errors import BackupError, DamagedError, LostError, RefusedError, StoreError
from dojo_deploy.sandbox import toolchain
from dojo_deploy.session import OpenSession
from tests.backups.bed import NAME, OWNER, PASSWORD, ROLE, Bed, processes
from tests.sshd import Server, until

ROWS = {
    "public.cards": 8000,
    "public.decks": 500,
    "public.games_24": 2,
    'it\'s "odd".a\tname': 3,
    "public._prisma_migrations": 1,
}


@pytest.fixture(params=["local", "remote"])
def bed(request: pytest.FixtureRequest) -> Bed:
    found: Bed = request.getfixturevalue(request.param)
    return found


def once(action: Callable[[], object]) -> Callable[[str, int], None]:
    """A listener to a transfer that acts when the first bytes have come."""
    pending = [action]

    def tell(_: str, __: int, **___: int) -> None:
        if pending:
            pending.pop()()

    return tell


def test_a_backup_comes_back_row_for_row_and_says_so(bed: Bed) -> None:
    manifest = backups.back_up(bed.site)
    assert manifest.rows == ROWS
    assert manifest.migrations == ({"migration_name": "0001_cards", "checksum": "ab12"},)
    assert manifest.identity == bed.cluster.psql("SELECT system_identifier FROM pg_control_system()")
    assert manifest.server.split(".")[0] == manifest.client.split(".")[0]
    assert manifest.dump.size > 3_000_000
    assert not manifest.role_passwords
    assert backups.verify(bed.site).id == manifest.id
    assert "ever proven" in " ".join(backups.health(bed.site).alarms)
    proof = backups.drill(bed.site)
    assert (proof.backup, proof.wrong, proof.rows) == (manifest.id, (), ROWS)
    assert backups.health(bed.site).alarms == ()
    assert bed.cluster.databases() == {"postgres", NAME}


def test_what_is_written_meanwhile_is_in_the_next_one(local: Bed) -> None:
    def write() -> None:
        local.cluster.psql("INSERT INTO decks (card) VALUES (1); DELETE FROM games_24", database=NAME, user=ROLE)

    try:
        manifest = backups.back_up(local.site, tell=once(write))
        assert manifest.rows == ROWS
        assert backups.drill(local.site).wrong == ()
    finally:
        local.cluster.psql(
            "DELETE FROM decks WHERE id = (SELECT max(id) FROM decks);"
            "INSERT INTO games VALUES ('2024-05-01'), ('2024-06-01')",
            database=NAME,
            user=ROLE,
        )


def test_the_password_is_in_no_process_argument(local: Bed) -> None:
    seen: list[bytes] = []
    backups.back_up(local.site, tell=once(lambda: seen.extend(b" ".join(words) for _, words, _ in processes())))
    assert any(b"pg_dump" in line for line in seen)
    assert not [line for line in seen if PASSWORD.encode() in line or b"und \xc3\xbc" in line]


def test_only_a_superuser_has_the_passwords_of_roles_in_its_backup(local: Bed) -> None:
    texts = []
    for user in (ROLE, OWNER):
        bed = local.with_(database=replace(local.cluster.settings(), user=user))
        manifest = backups.back_up(bed.site)
        assert manifest.role_passwords is (user == OWNER)
        bed.put(f"backups/{manifest.id}/globals.sql", lambda data: texts.append(data) or data)
    assert [b"CREATE ROLE shop" in text for text in texts] == [True, True]
    assert [b"SCRAM-SHA-256" in text for text in texts] == [False, True]


def test_a_dump_that_is_killed_is_no_backup(bed: Bed) -> None:
    def kill() -> None:
        found = bed.cluster.dumps()
        assert found
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(BackupError, match="pg_dump ended 137"):
        backups.back_up(bed.site, tell=once(kill))
    assert bed.keys() == ()


def test_a_connection_that_is_cut_is_unknown_and_publishes_nothing(bed: Bed, way: Server) -> None:
    with pytest.raises(LostError):
        backups.back_up(bed.site, tell=once(lambda: way.signal_sessions(signal.SIGKILL)))
    assert bed.keys() == ()
    until(lambda: not bed.cluster.dumps(), what="pg_dump to end by itself")
    assert backups.back_up(bed.site).rows == ROWS


@pytest.mark.parametrize(
    ("way_in", "damage"),
    [
        ("local", "cut"),
        ("local", "flip"),
        ("local", "gone"),
        ("remote", "cut"),
        pytest.param("remote", "flip", marks=pytest.mark.soak),
        pytest.param("remote", "gone", marks=pytest.mark.soak),
    ],
)
def test_damage_is_found_by_verify_and_by_a_drill(request: pytest.FixtureRequest, way_in: str, damage: str) -> None:
    bed: Bed = request.getfixturevalue(way_in)
    manifest = backups.back_up(bed.site)
    key = f"backups/{manifest.id}/database.dump"
    half = manifest.dump.size // 2
    changes: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[:half],
        "flip": lambda data: data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :],
        "gone": lambda _: b"",
    }
    bed.put(key, changes[damage])
    with pytest.raises(DamagedError, match="not what was written"):
        backups.verify(bed.site)
    proof = backups.drill(bed.site)
    assert "not what was written" in proof.wrong[0]
    assert not any(backup.is_proven for backup in backups.listed(bed.site).backups)
    assert "drill" in " ".join(backups.health(bed.site).alarms)
    assert bed.cluster.databases() == {"postgres", NAME}


def test_a_drill_that_was_disturbed_says_nothing_of_the_backup(local: Bed) -> None:
    """Somebody has a temporary table in the live database; then the scratch database goes away under the restore."""
    temporary = "CREATE TEMP TABLE t (i int PRIMARY KEY, n text CHECK (n <> 'x')); SELECT pg_sleep(60)"
    with local.cluster.session(temporary) as holds:
        until(holds, what="the temporary table")
        manifest = backups.back_up(local.site)
        assert backups.drill(local.site).wrong == ()

    def drop() -> None:
        (scratch,) = (name for name in local.cluster.databases() if "_drill_" in name)
        local.cluster.psql(f"DROP DATABASE {scratch} WITH (FORCE)")

    with pytest.raises(BackupError, match="could not restore the dump") as caught:
        backups.drill(local.site, tell=once(drop))
    assert not isinstance(caught.value, DamagedError)
    assert "terminating connection" in caught.value.hint or "does not exist" in caught.value.hint
    assert backups.listed(local.site).find(manifest.id).is_proven


def test_a_manifest_of_other_counts_fails_its_drill(local: Bed) -> None:
    manifest = backups.back_up(local.site)

    def lie(data: bytes) -> bytes:
        values: dict[str, Any] = json.loads(data[data.index(b"{") :])
        values["rows"]["public.cards"] += 1
        return json.dumps(values).encode()

    local.put(f"backups/{manifest.id}/manifest.json", lie)
    assert backups.drill(local.site).wrong == ("public.cards: 8000 of 8001 rows",)


def test_a_damaged_manifest_is_an_alarm_and_never_pruned(local: Bed) -> None:
    manifest = backups.back_up(local.site)
    local.put(f"backups/{manifest.id}/manifest.json", lambda data: data[:-20])
    assert "damaged" in " ".join(backups.health(local.site).alarms)
    assert backups.prune(local.site, confirmed=True).goes == ()
    with pytest.raises(DamagedError):
        backups.verify(local.site)


def test_programs_of_another_major_version_are_refused_before_anything(local: Bed) -> None:
    older = toolchain.postgres().parents[1] / "pginstall" / "bin"
    bed = local.with_(database=local.cluster.settings(bin=str(older)))
    with pytest.raises(RefusedError, match="not those of the server's 18"):
        backups.back_up(bed.site)
    assert bed.keys() == ()


def test_a_database_that_is_ours_by_name_only_is_not_dropped(local: Bed) -> None:
    theirs, ours, others = (
        f"{NAME}_drill_20250101t020000z_ab12",
        f"{NAME}_drill_20250101t020000z",
        "sho_drill_20250101t020000z",
    )
    try:
        for name in (theirs, ours, others):
            local.cluster.psql(f"CREATE DATABASE {name} OWNER {ROLE}")
        for name in (ours, others):
            local.cluster.psql(f"COMMENT ON DATABASE {name} IS '{MARKED}'")
        assert backups.prune(local.site, confirmed=True).dropped == (ours,)
        assert local.cluster.databases() == {"postgres", NAME, theirs, others}
    finally:
        for name in (theirs, ours, others):
            local.cluster.psql(f"DROP DATABASE IF EXISTS {name}")


def test_what_an_open_run_speaks_of_is_not_pruned(local: Bed) -> None:
    bed = local.with_(database=local.cluster.settings(backups=Backups(daily=1, weekly=0, monthly=0, at_least=1)))
    needed, newest = backups.back_up(bed.site).id, backups.back_up(bed.site).id
    scratch = f"{NAME}_restore_20250101t020000z"
    local.cluster.psql(f"CREATE DATABASE {scratch} OWNER {ROLE}")
    local.cluster.psql(f"COMMENT ON DATABASE {scratch} IS '{MARKED}'")
    session = OpenSession(bed.site)
    try:
        lease = lock.take(session.store, session.clock, run="r1", ttl=60, holder=lock.Holder.here())
        strategy = {"found": {"backup": needed}, "names": {"new": scratch}}
        about: dict[str, Any] = {key: {} for key in ("inventory", "observed", "release", "plan")}
        rest = dict.fromkeys(("scope", "plan_hash", "tool", "at"), "")
        header = ledger.Header(run="r1", strategy=strategy, **about, **rest)
        ledger.write_header(session.store, header)
        lease.open("r1")
        pruned = backups.prune(bed.site, confirmed=True)
        assert (pruned.goes, pruned.dropped) == ((), ())
        assert scratch in local.cluster.databases()
        lease.release(closed=True)
        pruned = backups.prune(bed.site, confirmed=True)
        assert ([each.id for each in pruned.goes], pruned.dropped) == ([needed], (scratch,))
        assert [each.id for each in backups.listed(bed.site).backups] == [newest]
    finally:
        session.close()
        local.cluster.psql(f"DROP DATABASE IF EXISTS {scratch}")


def test_a_wrong_password_is_told_and_not_shown(local: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = local.cluster.settings()
    monkeypatch.setenv("BACKUP_TEST_PASSWORD", "a-wrong-password")
    with pytest.raises(BackupError, match="password authentication failed") as caught:
        backups.back_up(local.with_(database=settings).site)
    assert "a-wrong-password" not in str(caught.value)


def test_two_backups_at_once_do_not_meet(local: Bed) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(backups.back_up(local.site).id)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made) == sorted(backup.id for backup in backups.listed(local.site).backups)
    assert len(set(made)) == 2


def test_a_full_store_is_a_store_error_and_leaves_nothing(local: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "store")

    monkeypatch.setattr("dojo_deploy.stores.directory._settle", full)
    with pytest.raises(StoreError, match="No space left"):
        backups.back_up(local.site)
    monkeypatch.undo()
    assert local.keys() == ()
