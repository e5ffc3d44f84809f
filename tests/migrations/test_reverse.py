"""The way back from a migration, on a real database: the schema is what it was before, or it is said what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.migrations import backfile
from dojo_deploy.migrations.reverse import reversed_parts
from tests.migrations.conftest import Project

NOW = 1780000000.0  # 2026-05-28 20:26:40 UTC
BASE = """
CREATE TABLE "Card" (id int PRIMARY KEY, name text NOT NULL, "oldName" text);
CREATE TABLE decks (id int);
CREATE TYPE kind AS ENUM ('a', 'b');
CREATE SCHEMA side;
CREATE VIEW seen AS SELECT 1 AS x;
"""
FORTH = """
CREATE TABLE users (id serial PRIMARY KEY);
ALTER TABLE "Card" ADD COLUMN "Rarity" text DEFAULT 'a;b', ADD owner int, ADD CONSTRAINT "own" CHECK (owner > 0);
CREATE UNIQUE INDEX "by name" ON "Card" (name);
ALTER TABLE "Card" RENAME COLUMN "oldName" TO title;
ALTER TABLE "Card" ALTER name DROP NOT NULL, ALTER COLUMN owner SET NOT NULL;
ALTER TABLE decks RENAME TO piles;
ALTER TABLE piles ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON piles USING (true);
ALTER TYPE kind RENAME VALUE 'b' TO 'it''s';
ALTER VIEW seen RENAME TO looked;
CREATE SEQUENCE side.numbers;
CREATE MATERIALIZED VIEW side.late AS SELECT 1 AS x;
CREATE FUNCTION never() RETURNS int LANGUAGE sql AS 'SELECT 1';
COMMENT ON TABLE "Card" IS 'cards';
"""
DESCRIBED = """
SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
  SELECT format('%s %s.%s', relkind, nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'side')
  UNION ALL SELECT format('%s.%s %s %s', relname, attname, atttypid::regtype, attnotnull)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attnum > 0 AND NOT attisdropped AND relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', conrelid::regclass, conname) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
  UNION ALL SELECT 'enum ' || enumlabel FROM pg_enum
  UNION ALL SELECT format('rls %s %s', relname, relrowsecurity) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
) AS found (line)
"""


def test_the_schema_is_what_it_was_before(bare: Project) -> None:
    bare.sql(BASE)
    before = bare.sql(DESCRIBED)
    bare.sql(FORTH)
    assert bare.sql(DESCRIBED) != before

    parts = reversed_parts(FORTH)
    bare.sql("BEGIN;" + "\n".join(part.sql for part in parts) + "COMMIT;")

    assert bare.sql(DESCRIBED) == before
    assert [(part.line, part.why) for part in parts if part.why] == [
        (14, "create function: no way back from it is known")
    ]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DROP TABLE cards", "backup.restore"),
        ("ALTER TABLE cards DROP COLUMN name", "backup.restore"),
        ("UPDATE cards SET name = ''", "backup.restore"),
        ("ALTER TABLE cards ALTER price TYPE bigint", "earlier migration"),
        ("ALTER TABLE cards ADD CHECK (price > 0)", "not in the file"),
        ("CREATE INDEX ON cards (name)", "not in the file"),
        ("CREATE TABLE IF NOT EXISTS cards (id int)", "not known"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "not known"),
        ("ALTER TYPE kind ADD VALUE 'x'", "cannot be removed"),
        ("DO $$ BEGIN END $$", "no way back"),
        ("SELECT 'never ends", "cannot be read"),
    ],
)
def test_what_cannot_be_taken_back_is_said(sql: str, why: str) -> None:
    (part,) = reversed_parts(sql)
    assert (part.line, part.sql) == (1, "")
    assert why in part.why


def laid(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "migration.sql").write_text(text)
    return folder


def test_it_is_the_next_file_of_its_folder_and_says_what_is_left(tmp_path: Path) -> None:
    add = "ALTER TABLE cards ADD rarity text;\nUPDATE cards SET rarity = 'x' WHERE id < 9;\n"
    folder = laid(tmp_path, **{"20260101000000_cards": "CREATE TABLE cards (id int);", "20260102000000_rarity": add})

    newest = backfile.reverse(folder, now=NOW)
    named = backfile.reverse(folder, "20260101000000_cards", now=NOW)

    assert newest.path == tmp_path / "20260528202640_take_back_rarity" / "migration.sql"
    assert 'ALTER TABLE "cards" DROP COLUMN "rarity";' in newest.sql
    assert "-- NOT TAKEN BACK, line 2: update: " in newest.sql
    assert [finding.kind for finding in newest.findings] == ["data loss"]
    assert 'DROP TABLE "cards";' in named.sql
    backfile.write(newest)
    assert newest.path.read_text() == newest.sql
    with pytest.raises(RefusedError, match="already there"):
        backfile.write(newest)
    with pytest.raises(ConfigError, match="no migration '7_x'"):
        backfile.reverse(folder, "7_x", now=NOW)


def test_what_only_loses_has_no_way_back_and_no_file(tmp_path: Path) -> None:
    folder = laid(tmp_path, **{"1_drop": "DROP TABLE cards;"})

    with pytest.raises(RefusedError, match=r"nothing leads back from 1_drop:\n1: drop: [\s\S]*backup.restore"):
        backfile.reverse(folder, now=NOW)


def test_an_authors_own_way_back_is_taken_and_marks_of_tools_are_kept(tmp_path: Path) -> None:
    text = "-- migrate:up\nCREATE TABLE a (id int);\n-- migrate:down\nDROP TABLE a; -- mine\n"
    (tmp_path / "7_a.sql").write_text(text)

    found = backfile.reverse(tmp_path, now=NOW)

    assert found.path.name == "8_take_back_a.sql"
    assert found.sql.startswith("-- migrate:up\n-- Takes back 7_a.sql.")
    assert "DROP TABLE a; -- mine" in found.sql
    assert found.sql.endswith("-- migrate:down\n")
