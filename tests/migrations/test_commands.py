"""What a migration tool may be started with, in every spelling that a shell takes."""

from __future__ import annotations

import contextlib

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.migrations.commands import forbidden
from dojo_deploy.strategies import Hook, Migrate, Work

FINE = (
    "npx --no-install prisma migrate deploy",
    "DATABASE_URL=$DIRECT_URL npx prisma migrate deploy --schema prisma/schema.prisma",
    "node_modules/.bin/prisma migrate status && npx prisma migrate deploy",
    "npx prisma --schema reset migrate resolve --rolled-back 0002_dev",
    "npx prisma migrate diff --from-empty --to-schema-datamodel x --script",
    "npx prisma generate; npx prisma db seed",
    "npm run --silent migrate",
    "# never: prisma migrate reset\nnpm run migrate",
    "echo 'no prisma migrate reset here'",
    "npx node-pg-migrate up", "dbmate up", "dbmate --url drop -d down migrate", "npx node-pg-migrate -m redo up",
    "node_modules/.bin/node-pg-migrate --tsconfig x up", "echo dropdb", "man dbmate", "psql -f reset.sql",
    "prisma-lite migrate deploy",
)  # fmt: skip
BAD = {
    "npx prisma migrate dev": "prisma migrate dev",
    "npx --no-install prisma migrate reset --force": "prisma migrate reset",
    "npx prisma db push --accept-data-loss": "prisma db push",
    "A=1 B='x y' npx --yes prisma@6 migrate dev --name x": "prisma migrate dev",
    "cd app && ./node_modules/.bin/prisma migrate reset": "prisma migrate reset",
    "npm ci;npx prisma migrate deploy||npx prisma migrate reset -f": "prisma migrate reset",
    "node node_modules/prisma/build/index.js migrate reset": "prisma migrate reset",
    "sh -c 'npx prisma db push'": "prisma db push",
    'bash -c "cd x; npx prisma \\"migrate\\" dev"': "prisma migrate dev",
    "x=$(npx prisma migrate reset)": "prisma migrate reset",
    "x=`npx prisma migrate reset`": "prisma migrate reset",
    "npx pri''sma mig\\rate dev": "prisma migrate dev",
    "npx prisma \\\n  migrate \\\n  reset": "prisma migrate reset",
    "npx prisma --schema x migrate --schema=y reset": "prisma migrate reset",
    "npx prisma migrate": "prisma migrate",
    "npx prisma migrate $WHAT": "prisma migrate $WHAT",
    "npx prisma $WHAT": "prisma $WHAT",
    "$PRISMA migrate reset": "prisma migrate reset",
    "timeout 60 env A=b dotenv -e .env -- prisma migrate dev": "prisma migrate dev",
    "curl http://x#y; npx prisma migrate reset": "prisma migrate reset",
    "npx dbmate drop": "dbmate drop",
    "dbmate -u x --migrations-dir y rollback": "dbmate rollback",
    "node_modules/.bin/node-pg-migrate down": "node-pg-migrate down",
    "npx node-pg-migrate@9 -t x redo": "node-pg-migrate redo",
    "dbmate $WHAT": "dbmate $WHAT",
    "psql -c 'SELECT 1' && dropdb tcgdojo": "dropdb",
    "npx prisma migrate reset 'never closed": "migrate reset",
    "if true; then npx prisma db push; fi": "prisma db push",
}


@pytest.mark.parametrize("line", FINE)
def test_what_only_goes_forward_or_looks_may_run(line: str) -> None:
    assert forbidden(line) == ""


@pytest.mark.parametrize("line", BAD)
def test_what_resets_or_rewrites_is_found_in_every_spelling(line: str) -> None:
    assert forbidden(line) == BAD[line]


def test_scripts_of_the_package_are_followed() -> None:
    scripts = {
        "migrate": "npm run db:all -- --x",
        "db:all": "prisma migrate reset",
        "postok": "prisma db push",
        "a": "npm run a",
    }

    assert (
        forbidden("npm run --silent migrate", scripts)
        == "prisma migrate reset (package.json: db:all) (package.json: migrate)"
    )
    assert forbidden("yarn ok", scripts | {"ok": "true"}) == "prisma db push (package.json: postok)"
    assert forbidden("npm run a", scripts) == ""


@pytest.mark.parametrize("kind", [Migrate, Hook])
def test_neither_a_migration_nor_a_hook_is_made_of_it(kind: type[Migrate | Hook]) -> None:
    with pytest.raises(ConfigError, match=r"run: .*prisma migrate reset.*data[\s\S]*migrate deploy"):
        kind("npx prisma migrate reset --force")


@pytest.mark.parametrize("kind", [Work, Hook])
def test_nor_is_the_way_back_of_work_or_a_hook(kind: type[Work | Hook]) -> None:
    with pytest.raises(ConfigError, match=r"undo: .*prisma migrate reset"):
        kind("true", undo="npx prisma migrate reset --force")


@pytest.mark.parametrize(
    ("line", "deaf"),
    [
        ('for f in migrations/*.sql; do psql "$DATABASE_URL" -f $f; done', True),
        ("sh -c 'psql < all.sql'", True),
        ("psql -dproduction -f m.sql", True),
        ("psql -Uaccounts < m.sql", True),
        ("cat m.sql | psql -hpgcluster", True),
        ("psql -fschema.sql", True),
        ("psql -v ON_ERROR_STOP=0 -f m.sql", True),
        ("psql -v ON_ERROR_STOP -f m.sql", True),  # without a value it is taken away
        ("psql -v ON_ERROR_STOP=1 -v ON_ERROR_STOP=off -f m.sql", True),
        ("psql -c 'CALL a()' -c 'CALL b()'", True),
        ("psql -c 'CALL a()' -f m.sql", True),
        ("psql -v ON_ERROR_STOP=1 -f all.sql", False),
        ("psql -vON_ERROR_STOP=on -f all.sql", False),
        ("psql --set=ON_ERROR_STOP=1 --file all.sql", False),
        ("psql -dproduction --command 'CALL a()'", False),
        ("psql -XAtqc 'SELECT 1'", False),
        ("npm run migrate", False),
    ],
)
def test_psql_that_goes_on_after_an_error_is_refused(line: str, deaf: bool) -> None:
    with pytest.raises(ConfigError, match="ON_ERROR_STOP") if deaf else contextlib.nullcontext():
        Migrate(line)
