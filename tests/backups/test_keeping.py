"""Which backups are kept, and what is an alarm: no store, no database."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojo_deploy.backups import alarm, retention, unfinished
from dojo_deploy.backups import kept as kept_databases
from dojo_deploy.backups.catalogue import DUMP, MANIFEST, Backup, Catalogue, began, key, new_id
from dojo_deploy.backups.manifest import Manifest, Part, Proof
from dojo_deploy.clock import utc
from dojo_deploy.database import Backups
from dojo_deploy.databases.postgres_scripts import MARKED
from dojo_deploy.errors import DamagedError, RefusedError
from dojo_deploy.interfaces import Stored

NOW = 1_795_000_000.0  # 2026-11-18 08:26:40 UTC
HOUR, DAY = 3600.0, 86400.0


def backup(age: float, *, size: int = 1000, proven: bool = False, wrong: tuple[str, ...] = ()) -> Backup:
    name = new_id(NOW - age)
    manifest = Manifest(name, "shop", "7", "18.4", "18.4", utc(NOW - age), 1.0, "me", dump=Part(size, "ab"))
    proof = Proof(name, utc(NOW - age + 60), 1.0, "me", "ab", wrong=wrong) if proven or wrong else None
    return Backup(name, manifest, proof)


def kept(*backups: Backup, **settings: int) -> list[Backup]:
    return [verdict.backup for verdict in retention.judge(backups, Backups(**settings)) if verdict.why]  # type: ignore[arg-type]


def test_a_year_of_nights_leaves_days_weeks_and_months() -> None:
    nights = [backup(number * DAY) for number in range(400)]
    left = kept(*nights)
    assert left[:7] == nights[:7]
    assert len(left) <= 7 + 4 + 12
    months = {time.strftime("%Y-%m", time.gmtime(each.began)) for each in left}
    assert len(months) == 12


def test_of_one_day_the_newest_is_kept() -> None:
    hourly = [backup(number * HOUR) for number in range(6)]
    assert kept(*hourly, at_least=1) == [hourly[0]]
    assert kept(*hourly) == hourly[:3]


def test_the_last_proven_one_is_kept_whatever_its_age() -> None:
    nights = [backup(number * DAY, proven=number in (3000, 3100)) for number in (*range(20), 3000, 3100)]
    left = kept(*nights, weekly=2, monthly=1)
    assert nights[20] in left
    assert nights[21] not in left


def test_a_failed_drill_does_not_make_a_backup_the_proven_one() -> None:
    old = [backup(0), backup(5000 * DAY, wrong=("cards: 0 of 5 rows",)), backup(5001 * DAY, proven=True)]
    assert old[2] in kept(*old, at_least=1, daily=1, weekly=0, monthly=0)
    assert old[1] not in kept(*old, at_least=1, daily=1, weekly=0, monthly=0)


def test_a_damaged_one_is_left_to_people_and_stands_in_for_none() -> None:
    damaged = Backup(new_id(NOW), None, damage="half")
    whole = backup(HOUR)
    assert kept(damaged, whole, at_least=1, daily=1, weekly=0, monthly=0) == [damaged, whole]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=40, unique_by=lambda each: each[0]),
    st.integers(0, 9),
    st.integers(0, 5),
    st.integers(0, 14),
    st.integers(0, 6),
)
def test_pruning_never_takes_the_newest_the_last_proven_or_too_many(
    ages: list[tuple[int, bool]], daily: int, weekly: int, monthly: int, at_least: int
) -> None:
    backups = [backup(age * 6 * HOUR, proven=proven) for age, proven in sorted(ages)]
    left = kept(*backups, daily=daily, weekly=weekly, monthly=monthly, at_least=at_least)
    assert left[: max(1, at_least)] == backups[: max(1, at_least)]
    assert [each for each in left if each.is_proven][:1] == [each for each in backups if each.is_proven][:1]
    assert len(left) <= max(1, at_least) + daily + weekly + monthly + 1
    assert kept(*left, daily=daily, weekly=weekly, monthly=monthly, at_least=at_least) == left


def alarms(*backups: Backup) -> str:
    return "; ".join(alarm.alarms(backups, Backups(), now=NOW))


def test_all_is_well_with_a_young_proven_backup_of_the_usual_size() -> None:
    assert alarms(*(backup(number * DAY + HOUR, proven=number == 2) for number in range(9))) == ""


@pytest.mark.parametrize(
    ("backups", "said"),
    [
        ((), "there is no backup"),
        ((backup(25.9 * HOUR),), "no backup was ever proven"),
        ((backup(27 * HOUR, proven=True),), "27 hours old, not 26"),
        ((backup(HOUR, size=499, proven=True), *(backup(n * DAY) for n in range(1, 5))), "has 499 bytes"),
        ((backup(HOUR), backup(9 * DAY, proven=True)), "passed was 9 days ago"),
        ((backup(HOUR), backup(DAY, wrong=("cards: 4 of 5 rows",))), "failed: cards: 4 of 5 rows"),
        ((backup(HOUR, proven=True), Backup(new_id(NOW - DAY), None, damage="half")), "damaged: half"),
        ((Backup(new_id(NOW), None, damage="half"),), "there is no backup"),
    ],
)
def test_an_alarm_says_what_is_wrong(backups: tuple[Backup, ...], said: str) -> None:
    assert said in alarms(*backups)


def test_half_the_size_is_no_alarm_and_a_stray_giant_is_no_measure() -> None:
    assert alarms(backup(HOUR, size=500, proven=True), backup(DAY), backup(2 * DAY), backup(3 * DAY, size=10**9)) == ""


def test_ids_are_in_order_of_time_and_never_the_same() -> None:
    assert began(new_id(NOW)) == NOW
    assert new_id(NOW) != new_id(NOW)
    assert new_id(NOW) < new_id(NOW + 1)


def test_a_backup_is_found_by_the_beginning_of_its_id() -> None:
    newest, older = backup(0), backup(DAY)
    catalogue = Catalogue((newest, older))
    assert catalogue.find("") == newest
    assert catalogue.find(older.id[:10]) == older
    for wrong in ("2", "9"):
        with pytest.raises(RefusedError, match=f"backup {wrong}"):
            catalogue.find(wrong)
    with pytest.raises(RefusedError, match=r"backup\.create"):
        Catalogue().find("")


def test_a_manifest_survives_the_store_and_half_of_one_is_damage() -> None:
    manifest = backup(0).manifest
    assert manifest
    assert Manifest.decoded(manifest.encoded()) == manifest
    for data in (manifest.encoded()[:-9], b"{}", b"[]", b"\xff"):
        with pytest.raises(DamagedError):
            Manifest.decoded(data)


@pytest.mark.parametrize(
    ("ages", "found"),
    [
        ({}, None),
        ({HOUR: False}, None),
        ({HOUR: True}, HOUR),
        ({HOUR: False, 2 * HOUR: True, 3 * HOUR: True}, 2 * HOUR),
        ({DAY: True}, None),
        ({DAY - 1: True}, DAY - 1),
    ],
)
def test_the_newest_proven_backup_counts_until_it_is_too_old(ages: dict[float, bool], found: float | None) -> None:
    backups = [backup(age, proven=proven) for age, proven in ages.items()]
    young = alarm.proven(backups, "shop", within=DAY, now=NOW)
    assert (NOW - young.began if young else None) == found


def test_a_backup_that_failed_its_drill_or_lost_its_manifest_is_no_proof() -> None:
    failed = backup(HOUR, wrong=("cards: 4 of 5 rows",))
    lost = Backup(new_id(NOW - HOUR), None, backup(HOUR, proven=True).proof, "half")
    assert alarm.proven([failed, lost], "shop", within=DAY, now=NOW) is None


def test_a_proof_counts_for_its_own_database_and_its_own_dump_only() -> None:
    one = backup(HOUR, proven=True)
    assert one.proof
    assert alarm.proven([one], "shop", within=DAY, now=NOW) == one
    assert alarm.proven([one], "other", within=DAY, now=NOW) is None
    of_another = replace(one, proof=replace(one.proof, sha256="cd"))
    assert alarm.proven([of_another], "shop", within=DAY, now=NOW) is None
    assert "no backup was ever proven" in alarms(of_another)


def test_a_backup_that_failed_its_drill_never_takes_the_place_of_one_of_its_period_that_did_not() -> None:
    failed, proven = backup(300 * DAY, wrong=("cards: 0 of 5 rows",)), backup(300 * DAY + HOUR, proven=True)
    newer = backup(HOUR, proven=True)
    left = kept(newer, failed, proven, at_least=1)
    assert left == [newer, proven]
    assert kept(newer, failed, at_least=1) == [newer, failed], "there is no other of that month"


def test_what_a_run_that_has_not_ended_needs_is_kept() -> None:
    newest, old = backup(0), backup(2 * HOUR)
    verdicts = retention.judge([newest, old], Backups(at_least=1), needed=[old.id])
    assert [verdict.backup for verdict in verdicts if verdict.why] == [newest, old]


def test_a_database_that_is_kept_is_of_the_one_it_is_named_after_and_of_no_other() -> None:
    long, longer = "x" * 50, "x" * 51
    databases = ("shop", "shop_staging", "sho", long, longer)
    others = dict.fromkeys(databases, "")
    for word, comment in (("old", "kept by dojo_deploy until 2026-12-01T00:00:00Z: "), ("drill", MARKED)):
        others |= {kept_databases.name_of(name, word, "20261101t000000z"): comment for name in databases}
    for name in databases:
        (found,) = kept_databases.kept(others, name)
        assert found.name == kept_databases.name_of(name, "old", "20261101t000000z")
        lost = kept_databases.forgotten(others, name, before=NOW)
        assert lost == (kept_databases.name_of(name, "drill", "20261101t000000z"),)
    assert all(len(kept_databases.name_of(name, "restore", "20261101t000000z").encode()) < 64 for name in others)


def test_a_backup_that_is_finished_while_somebody_looks_for_leftovers_is_none() -> None:
    """What is listed without a manifest has got one, and lost the mark of who makes it, before that mark is read."""
    name = new_id(NOW)
    clock = SimpleNamespace(now=lambda: NOW)
    left = {key(name, DUMP): b"{}"}

    def found(parts: dict[str, bytes]) -> tuple[str, ...]:
        read = {**left, **parts}
        store = SimpleNamespace(
            list=lambda _: tuple(left), get=lambda key: Stored(read[key], "e") if key in read else None
        )
        return unfinished.left(SimpleNamespace(store=store, clock=clock), is_over=lambda _: False)  # type: ignore[arg-type]

    assert found({}) == (name,)
    assert found({key(name, MANIFEST): b"{}"}) == ()
