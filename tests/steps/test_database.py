"""Migrations of a deployment: what is pending, what is refused and why, and what people read when one fails."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from invoke import Context, Exit

from dojo_deploy.config import inventory_from_document, load_strategy
from dojo_deploy.engine import ledger
from dojo_deploy.engine.lanes import explained
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations.folders import in_artifact, in_folder
from dojo_deploy.release import Observed, Placement, Release, Tool
from dojo_deploy.steps import database, judged, migrated
from dojo_deploy.strategies import BlueGreen, Migrate, Rolling
from dojo_deploy.strategies.migrating import Migrating
from dojo_deploy.tasks import db
from tests.sites import NEW, OLD, fleet, site

FILES = {
    "migrations/0001_cards.sql": "CREATE TABLE cards (id int);",
    "migrations/0002_rarity.sql": "ALTER TABLE cards ADD rarity text;\nCREATE INDEX i ON cards (rarity);",
    "migrations/0003_drop.sql": "-- gone\nALTER TABLE cards DROP COLUMN name;",
}


def artifact(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "app.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def release_with(folder: Path, files: dict[str, str], line: str = "npm run migrate") -> Release:
    return database.with_migrations(NEW, artifact(folder, files), Migrate(line))


def answered(applied: str | None, *serving: tuple[str, str]) -> Observed:
    facts = {migrated.SERVING: "\n".join(f"{sha256}  {name}" for name, sha256 in serving)}
    why = (applied or "").removeprefix("unknown: ")
    unread = {migrated.DATABASE: f"# lock by pg\n# tool prisma\n# table not read: {why}"}
    told = {} if applied is None else unread if why != applied else {migrated.APPLIED: applied}
    return replace(fleet(site(3)), facts=facts | told)


def first(release: Release, count: int) -> tuple[tuple[str, str], ...]:
    return tuple((file.name, file.sha256) for file in release.migrations[:count])


def test_what_serves_now_or_the_tools_own_table_says_what_is_pending(tmp_path: Path) -> None:
    release = release_with(tmp_path, FILES)
    names = list(FILES)

    def waiting(seen: Observed) -> list[str]:
        return [file.name for file in judged.pending(release, seen)]

    assert waiting(answered(None, *first(release, 1))) == names[1:]
    assert waiting(answered("0001_cards.sql\n0002_rarity.sql", *first(release, 1))) == names[2:]
    assert waiting(answered("0001_cards\n0002_rarity\n0003_drop")) == []
    assert waiting(answered("unknown: no pg", *first(release, 2))) == names[2:]
    assert waiting(answered("", *first(release, 2))) == names


@pytest.mark.parametrize("kind", [Rolling, BlueGreen])
def test_a_contract_is_refused_before_any_change_with_its_place_and_the_safe_way(
    tmp_path: Path, kind: type[Rolling | BlueGreen]
) -> None:
    release, inventory = release_with(tmp_path, FILES), site(3)
    seen = replace(answered(None, *first(release, 2)), serving={"blue": ("web1", "web2", "web3")})

    with pytest.raises(RefusedError, match=r"0003_drop\.sql:2: data loss: column cards\.name[\s\S]*--allow-contract"):
        kind(migrate=Migrate("npm run migrate")).plan(inventory, release, seen)
    allowed = kind(migrate=Migrate("npm run migrate", allow_contract=True, reason="x")).plan(inventory, release, seen)
    assert any("0003_drop.sql:2: data loss" in note for note in allowed.notes)


def test_what_only_locks_is_told_and_what_ran_already_is_not(tmp_path: Path) -> None:
    release = release_with(tmp_path, dict(list(FILES.items())[:2]))
    plan = Rolling(migrate=Migrate("npm run migrate")).plan(site(3), release, answered(None, *first(release, 1)))
    done = Rolling(migrate=Migrate("npm run migrate")).plan(site(3), release, answered(None, *first(release, 2)))

    assert plan.notes[0] == "pending by what serves now: migrations/0002_rarity.sql"
    assert plan.notes[1].startswith("migrations/0002_rarity.sql:2: blocking: writes to cards wait")
    assert done.notes == ()


def test_a_fleet_that_serves_nothing_is_told_that_nobody_judged(tmp_path: Path) -> None:
    release = release_with(tmp_path, FILES)

    assert judged.judge(Migrate("x"), site(1), release, fleet(site(1), release=Release(""))).notes == (
        "nothing serves yet, so nobody judged the migrations of the release: 3",
    )


def test_one_that_failed_half_way_before_is_refused_with_what_to_type(tmp_path: Path) -> None:
    release = release_with(tmp_path, FILES)
    seen = answered("0001_cards\nfailed 0002_rarity", *first(release, 1))

    with pytest.raises(RefusedError, match=r"0002_rarity failed half-way[\s\S]*resolve --rolled-back 0002_rarity"):
        judged.judge(Migrate("x"), site(1), release, seen)


def test_one_that_was_edited_after_it_ran_is_told(tmp_path: Path) -> None:
    release = release_with(tmp_path, dict(list(FILES.items())[:1]))

    assert judged.judge(
        Migrate("x"), site(1), release, answered(None, ("migrations/0001_cards.sql", "other"))
    ).notes == ("changed after it had run, which changes nothing any more: migrations/0001_cards.sql",)


def test_a_resumed_run_plans_from_the_same_findings(tmp_path: Path) -> None:
    release = release_with(tmp_path, FILES)
    seen = answered(None, *first(release, 1))
    header = json.loads(json.dumps([ledger.release_as_dict(release), ledger.observed_as_dict(seen)]))
    strategy = Rolling(migrate=Migrate("npm run migrate", allow_contract=True, reason="x"))

    again = strategy.plan(site(3), ledger.release_from_dict(header[0]), ledger.observed_from_dict(header[1]))
    assert again.hash == strategy.plan(site(3), release, seen).hash
    assert ledger.release_from_dict({"id": "x", "platform": {}}).migrations == ()


def test_artifacts_are_read_as_the_tools_lay_them_out(tmp_path: Path) -> None:
    files = {
        "prisma/migrations/20260101_a/migration.sql": "SELECT 1",
        "prisma/migrations/20260101_a/down.sql": "DROP TABLE a",
        "prisma/migrations/migration_lock.toml": "",
        "migrations/0001.sql": "DROP TABLE b",
        "node_modules/x/migrations/0001.sql": "DROP TABLE c",
        "package.json": '{"scripts": {"migrate": "prisma migrate deploy"}}',
    }
    found, scripts = in_artifact(artifact(tmp_path, files))
    named, _ = in_artifact(
        artifact(tmp_path, {"sql/1.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE a", "sql/2.js": ""}),
        "sql/",
    )

    assert [(file.name, file.findings) for file in found] == [("prisma/migrations/20260101_a/migration.sql", ())]
    assert scripts == {"migrate": "prisma migrate deploy"}
    assert [(file.name, [one.kind for one in file.findings]) for file in named] == [
        ("sql/1.sql", []),
        ("sql/2.js", ["unjudged"]),
    ]
    assert in_artifact(artifact(tmp_path, {"server.js": ""})) == ((), {})
    with pytest.raises(ConfigError, match="no migrations"):
        in_folder(tmp_path / "nowhere")


def test_a_script_of_the_release_that_resets_is_refused(tmp_path: Path) -> None:
    files = {"package.json": json.dumps({"scripts": {"migrate": "npx prisma migrate reset --force"}})}

    with pytest.raises(RefusedError, match=r"prisma migrate reset \(package\.json: migrate\)"):
        release_with(tmp_path, files, "npm run --silent migrate")


def test_a_strategy_file_that_resets_is_an_error_with_file_line_and_key(tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "strategies").mkdir()
    file = tmp_path / "strategies" / "rolling.yml"
    file.write_text("strategy: rolling\nmigrate:\n  deadline: 10m\n  run: npx prisma migrate dev --name x\n")
    inventory = inventory_from_document(site(1).document, path=str(tmp_path / "inventories" / "production.yml"))

    with pytest.raises(ConfigError, match=r"rolling\.yml:4: migrate\.run: prisma migrate dev .*migrate deploy"):
        load_strategy("rolling", inventory)


FAILURES = {
    "Error: P1002\n\nThe database server at `db:5432` was reached but timed out.\n\nContext: Timed out trying to "
    "acquire a postgres advisory lock (SELECT pg_advisory_lock(72707369)). Elapsed: 10000ms.": "pg_terminate_backend",
    "Error: P1002\n\nThe database server at `db:5432` was reached but timed out.": "deploy again",
    "Error: P3009\n\nmigrate found failed migrations in the target database, new migrations will not be applied.\nThe "
    "`20260101_cards` migration started at 2026-01-01 00:00:00 UTC failed": "resolve --rolled-back 20260101_cards",
    "Error: P3018\n\nA migration failed to apply.\n\nMigration name: 20260101_cards\n\nDatabase error code: "
    "42P07": "web1, in /srv/tcgdojo/releases/new-2222.*resolve --applied 20260101_cards",
    "Error: P3018\nsomething new": "migrate status",
    "error: canceling statement due to lock timeout": "pg_stat_activity",
    "\nkilled at its deadline of 600 s": "may go on",
}


@pytest.mark.parametrize("said", FAILURES)
def test_known_failures_are_explained_with_what_to_type(said: str) -> None:
    inventory = site(1)
    step = database.migrate(Placement(inventory.hosts["web1"], "blue", NEW.id, inventory.app), Migrate("x"))

    told = [explained(match, text) for sign, text in step.explains if (match := re.search(sign, said))]
    assert re.search(FAILURES[said], told[0])
    assert "{" not in told[0]


def test_the_line_runs_once_with_its_deadline_and_its_lock_timeout() -> None:
    inventory = site(1)
    place = Placement(inventory.hosts["web1"], "blue", NEW.id, inventory.app)
    step = database.migrate(place, Migrate("npm run migrate", deadline=7, lock_timeout=2.5))

    assert (step.once, step.deadline, step.point_of_no_return) == (True, 7, True)
    assert "PGOPTIONS='-c lock_timeout=2500'" in step.action.preview()[0]
    assert "PGOPTIONS" not in database.migrate(place, Migrate("npm run migrate")).action.preview()[0]


def test_migrating_alone_runs_in_what_serves_and_waits_for_a_resolve() -> None:
    inventory, strategy = site(2), Migrating(Migrate("npm run migrate"))
    plan = strategy.plan(inventory, OLD, answered("0001_cards"))

    ((name, stage, lane, step),) = plan.steps()
    assert (name, stage.phase, lane.host, step.point_of_no_return) == ("migrate/web1/migrate", "migrate", "web1", True)
    assert f"RELEASE_DIR=/srv/tcgdojo/releases/{OLD.id}" in step.action.preview()[0]
    with pytest.raises(RefusedError, match="failed half-way"):
        strategy.plan(inventory, OLD, answered("failed 0001_cards"))
    with pytest.raises(RefusedError, match="nothing is deployed"):
        strategy.plan(inventory, Release(""), fleet(inventory, release=Release("")))


def test_states_are_those_of_the_tool_and_name_what_nobody_knows() -> None:
    serving = (("migrations/0001_a.sql", "1"), ("migrations/0002_b.sql", "2"), ("migrations/0003_c.sql", "3"))
    found = migrated.history(answered("0001_a\nfailed 0002_b\n0000_old", *serving, ("migrations/lock.toml", "4")))

    assert migrated.states(found) == {
        "migrations/0001_a.sql": "applied",
        "migrations/0002_b.sql": "failed",
        "migrations/0003_c.sql": "pending",
        "0000_old": "foreign",
    }


@pytest.mark.parametrize(
    ("sql", "code"), [("SELECT 1;", None), ("CREATE INDEX i ON a (b)", None), ("DROP TABLE a", 10)]
)
def test_the_linter_as_a_task_ends_as_a_deployment_would(
    tmp_path: Path, sql: str, code: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "1.sql"
    file.write_text(sql)

    with pytest.raises(Exit) if code else contextlib.nullcontext() as ended:
        db.lint(Context(), path=str(tmp_path))
    assert (ended.value.code if ended else None) == code
    assert (f"{file}:1: " in capsys.readouterr().out) == (sql != "SELECT 1;")


def test_the_questions_find_files_and_survive_a_host_without_a_driver(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    lines = migrated.questions(Tool("npx prisma migrate deploy"))

    def asked(name: str) -> str:
        done = subprocess.run(
            ["sh", "-c", lines[name]], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    history = migrated.history(Observed({}, facts={name: asked(name).strip() for name in lines}))
    assert history.serving and set(history.serving) == set(FILES)
    assert history.applied is None
    assert history.trouble if shutil.which("node") else "node" in history.no_lock
    assert OLD.id not in str(history)
