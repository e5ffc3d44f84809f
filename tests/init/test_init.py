"""`dojo init`: repositories as people have them get files that load, and keep those that they have."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.config import load_inventory, load_strategy
from dojo_deploy.errors import ConfigError
from dojo_deploy.init.literals import value_of
from dojo_deploy.inventory import Inventory
from dojo_deploy.strategies import Rolling

DOJO = Path(sys.executable).parent / "dojo"
EXPRESS: Mapping[str, str] = {
    "package.json": json.dumps(
        {
            "name": "@acme/Shop API",
            "engines": {"node": ">=20"},
            "scripts": {
                "start": "node dist/server.js",
                "build": "tsc",
                "test": "jest",
                "worker": "node dist/worker.js",
            },
            "dependencies": {"express": "4", "@prisma/client": "5"},
        }
    ),
    "package-lock.json": "{}",
    "ecosystem.config.js": """\
        // { name: 'nobody' }
        module.exports = { apps: [
          { name: 'Shop Api', script: './dist/server.js', instances: 'max', exec_mode: 'cluster', watch: false,
            env: { NODE_ENV: "development" }, env_production: { PORT: process.env.PORT || 4000 } },
          { ...common, name: "worker", script: "npm", args: "run worker", exec_mode: 'fork_mode' },
        ], deploy: { production: { host: ['a'], path: `/srv/${x}` } } };
        """,
    "prisma/schema.prisma": 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n',
    ".env.example": "# all\nDATABASE_URL=postgres://h/x\nexport SESSION_KEY=\nPORT=4000\nVITE_API='https://x' # it\n",
    "client/package.json": '{"name": "client", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}',
    "client/package-lock.json": "{}",
    "src/app.ts": "\napp.get('/api/health', ok);\n",
    "src/deep/router.ts": "router.get('/internal/db/healthz', ok);\n",
    "Dockerfile": "EXPOSE 9999\n",
}
PLAIN: Mapping[str, str] = {
    "package.json": '{"main": "index.js", "scripts": {"start": "NODE_ENV=production node --enable-source-maps index.js '
    '--quiet", "start:worker": "node jobs/worker", "test": "echo \\"Error: no test specified\\" && exit 1"}, '
    '"dependencies": {"express": "4"}}',
    "index.js": "require('express')().listen(8080)\n",
}
WORKSPACES: Mapping[str, str] = {
    "package.json": '{"name": "mono", "private": true, "workspaces": ["packages/*"]}',
    "package-lock.json": "{}",
    "packages/api/package.json": '{"name": "@mono/api", "scripts": {"start": "node build/main.js", "build": "tsc"}, '
    '"dependencies": {"fastify": "4"}}',
    "packages/api/src/main.ts": "const port = process.env.PORT ?? 5000;\n",
    "packages/api/prisma/schema.prisma": 'datasource db { provider = "mysql" }\n',
    "packages/site/package.json": '{"name": "@mono/site", "devDependencies": {"vite": "5"}}',
    "ecosystem.config.cjs": "module.exports = { apps: [{name: 'api', cwd: 'packages/api', script: 'build/main.js'},"
    "{name: 'api', cwd: '/srv/mono', script: 'packages/api/build/admin.js', env: {PORT: '5001'}},"
    "{name: 'api-2', script: 'packages/api/build/main.js', env: {PORT: 5000}, instances: 3}] }",
}


def made(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def filled(root: Path) -> Inventory:
    """The inventory with its hosts, as a person would fill them in."""
    path = root / "inventories/production.yml"
    path.write_text(path.read_text().replace("web: []", "web: [web1, web2]").replace("lb: []", "lb: [lb1]"))
    return load_inventory(path)


def test_an_express_app_with_an_ecosystem_a_client_and_prisma(tmp_path: Path) -> None:
    begun = app.init(folder=made(tmp_path, EXPRESS))
    site = filled(tmp_path)

    assert begun.written == ("inventories/production.yml", "strategies/rolling.yml", "tasks.py", ".gitignore")
    assert (site.app.name, site.app.root, site.app.environment) == ("shop-api", "/srv/shop-api", "production")
    assert site.app.build.run == (
        *("npm ci", "cd client && npm ci", "npx --no-install prisma generate"),
        *("npm test", "npm run build", "cd client && npm run build"),
    )
    assert site.app.build.env == {"VITE_API": "https://x"}
    assert site.app.env_file and site.app.env_file.as_dict() == {"file": "secrets/production.env"}
    web, worker = site.app.processes.each.items()
    assert (web[0], web[1].script, web[1].port, web[1].instances) == ("shop-api", "dist/server.js", 4000, 2)
    assert (worker[0], worker[1].script, worker[1].port, worker[1].mode) == ("worker", "dist/worker.js", 0, "fork")
    assert (site.app.health, site.app.release_field) == ("/api/health", "")
    chosen = load_strategy(str(tmp_path / "strategies/rolling.yml"), site)
    assert isinstance(chosen, Rolling) and chosen.migrate
    assert (chosen.migrate.run, chosen.prove) == ("npx --no-install prisma migrate deploy", "on")


def test_an_app_of_which_package_json_is_all(tmp_path: Path) -> None:
    app.init(folder=made(tmp_path / "My Shop", PLAIN))
    site = filled(tmp_path / "My Shop")

    assert site.app.name == "my-shop"
    assert site.app.build.run == ("npm install",)
    assert site.app.env_file is None
    web, worker = site.app.processes.each.values()
    assert (web.script, web.args, web.port) == ("index.js", ("--quiet",), 8080)
    assert worker.script == "jobs/worker.js"
    assert site.app.health == "/"
    chosen = load_strategy(str(tmp_path / "My Shop/strategies/rolling.yml"), site)
    assert isinstance(chosen, Rolling) and chosen.prove == "off", "it listens on 8080 whatever $PORT says"


def test_workspaces_are_built_together_and_their_ports_do_not_meet(tmp_path: Path) -> None:
    app.init(folder=made(tmp_path, WORKSPACES))
    site = filled(tmp_path)

    assert site.app.name == "mono"
    assert site.app.build.run == (
        "npm ci",
        "npx --no-install prisma generate --schema packages/api/prisma/schema.prisma",
        "npm run build --workspaces --if-present",
    )
    assert {name: one.script for name, one in site.app.processes.each.items()} == {
        "api": "packages/api/build/admin.js",
        "api-2": "packages/api/build/main.js",
        "api-3": "packages/api/build/main.js",
    }
    ports = [port for slots in site.hosts["web1"].ports.values() for port in slots.values()]
    assert {5000, 5001} <= set(ports) and len(ports) == len(set(ports))
    chosen = load_strategy(str(tmp_path / "strategies/rolling.yml"), site)
    assert isinstance(chosen, Rolling) and chosen.migrate
    assert chosen.migrate.folder == "packages/api/prisma/migrations"


def test_only_the_hosts_are_missing_and_the_error_says_where(tmp_path: Path) -> None:
    app.init("staging", made(tmp_path, PLAIN))
    path = tmp_path / "inventories/staging.yml"
    lines = path.read_text().splitlines()

    with pytest.raises(ConfigError) as caught:
        load_inventory(path)
    web, lb = str(caught.value).splitlines()

    assert web.startswith(
        f"{path}:{lines.index(next(each for each in lines if 'web: []' in each)) + 1}: hosts.web: is empty"
    )
    assert lb.startswith(
        f"{path}:{lines.index(next(each for each in lines if 'lb: []' in each)) + 1}: hosts.lb: is empty"
    )


def test_nothing_is_overwritten_and_what_was_left_is_named(tmp_path: Path) -> None:
    mine = {
        "inventories/production.yml": "app: {}\n",
        "tasks.py": "from invoke import task\n",
        ".gitignore": "/.dojo\n",
    }
    made(tmp_path, {**PLAIN, **mine})

    begun = app.init(folder=tmp_path)

    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert begun.written == ("strategies/rolling.yml",)
    assert begun.left == (
        ("inventories/production.yml", "is there already, and stays as it is"),
        ("tasks.py", "for `invoke deploy` add to it: from dojo_deploy.tasks import namespace"),
        (".gitignore", "add to it: inventories/secrets/"),
    )


def test_the_command_asks_nothing_runs_nothing_and_says_what_to_type_next(tmp_path: Path) -> None:
    made(tmp_path, {**EXPRESS, "ecosystem.config.js": "require('fs').writeFileSync('ran', ''); module.exports = {}"})

    done = subprocess.run(
        [DOJO, "init", "-i", "eu"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote  inventories/eu.yml\n" in done.stdout
    assert "install -D -m 600 .env.example inventories/secrets/eu.env" in done.stdout
    assert "dojo deploy -i eu --dry-run" in done.stdout
    assert not (tmp_path / "ran").exists()
    listed = subprocess.run(
        [DOJO.with_name("invoke"), "--list"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert " deploy " in listed.stdout, "the new tasks.py is Invoke's"


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ({}, "production", "no package.json here"),
        ({"package.json": '{\n"name": }'}, "production", "package.json:2: is no JSON"),
        (PLAIN, "../x", "'../x' is no name of an inventory"),
        (PLAIN, "x.yml", "'x.yml' is no name of an inventory"),
    ],
)
def test_what_cannot_begin_says_why(files: Mapping[str, str], name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        app.init(name, made(tmp_path, files))
    assert not (tmp_path / "inventories").exists()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_repository_holds_the_files_load(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for number in range(25):
        root = tmp_path / f"r{number}"
        source = rng.choice((EXPRESS, PLAIN, WORKSPACES))
        made(root, {name: _mutated(text, rng) if rng.random() < 0.6 else text for name, text in source.items()})
        try:
            app.init(folder=root)
        except ConfigError as error:
            assert "package.json" in str(error)
        else:
            site = filled(root)
            load_strategy(str(root / "strategies/rolling.yml"), site)
        shutil.rmtree(root)


def _mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        if rng.random() < 0.3:
            text = rng.choice((text[:at], text[at:]))
        else:
            text = text[:at] + rng.choice("{}[]:,'\"`/*\\\n# 0é✓$&") + text[at + rng.randrange(3) :]
    return text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "module.exports = {apps: [{a: 1, 'b': \"x\\'y\", c: true, d: -2.5,},]}",
            [{"a": 1, "b": "x'y", "c": True, "d": -2.5}],
        ),
        ("apps: [{a: f(x, {y: 1}), b: p ? 'q' : 'r', c() { return 1 }, d}]", [{"a": None, "b": "r"}]),
        ("/* apps: [] */ const s = 'apps: 1'; export default { apps: [process.env.X ?? `y`] }", None),
        ("apps: [[[", None),
        ("apps: " + "[" * 5000, None),
        ("applications: []", None),
    ],
)
def test_literals_are_read_and_nothing_else(text: str, value: object) -> None:
    assert value_of(text, "apps") == value


@pytest.mark.parametrize(
    ("taken", "folder", "said"),
    [
        ("inventories", False, "inventories: is no folder"),
        ("tasks.py", True, "tasks.py: is a folder"),
        ("inventories/production.yml", True, "production.yml: is a folder"),
    ],
)
def test_what_stands_where_a_file_belongs_is_named(tmp_path: Path, taken: str, folder: bool, said: str) -> None:
    made(tmp_path, PLAIN)
    place = tmp_path / taken
    place.mkdir(parents=True) if folder else place.write_text("")

    with pytest.raises(ConfigError, match=said):
        app.init(folder=tmp_path)


def test_folders_with_spaces_and_patterns_of_nobodys_disturb_nothing(tmp_path: Path) -> None:
    client = '{"name": "client", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}'
    root = json.dumps({**json.loads(PLAIN["package.json"]), "workspaces": ["a**b"]})
    made(tmp_path, {**PLAIN, "package.json": root, "web client/package.json": client})

    app.init(folder=tmp_path)

    assert "cd 'web client' && npm install" in (tmp_path / "inventories/production.yml").read_text()
