"""A real PostgreSQL, and folders in which migration tools run as they would on a host."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from dojo_deploy.migrations.programs import GUARD
from dojo_deploy.sandbox import toolchain
from tests.backups.bed import OWNER, PASSWORD, Cluster, running

PLAYED = Path(__file__).parent / "prisma"
SCHEMA = 'datasource db {\n  provider = "postgresql"\n}\n'
COUNT = itertools.count()


@dataclass(frozen=True)
class Project:
    """A release's folder, and its own database."""

    folder: Path
    cluster: Cluster
    database: str
    path: str  # where programs are found

    @property
    def env(self) -> dict[str, str]:
        address = f"{OWNER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.cluster.port}/{self.database}"
        return {"PATH": self.path, "HOME": str(self.folder), "DATABASE_URL": f"postgresql://{address}?schema=public"}

    def sql(self, text: str) -> str:
        return self.cluster.psql(text, database=self.database)

    def write(self, **files: str) -> None:
        """Migrations as Prisma has them: name -> SQL."""
        base = self.folder / "prisma" / "migrations"
        base.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (base / name).mkdir()
            (base / name / "migration.sql").write_text(text)
        (base / "migration_lock.toml").write_text('provider = "postgresql"\n')
        (self.folder / "prisma" / "schema.prisma").write_text(SCHEMA)

    def shell(self, line: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A line as a person types it."""
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, timeout=60
        )

    def guard(self, mode: str, line: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A line as a deployment runs it; both streams in one."""
        return self.shell('exec node -e "$GUARD" "$MODE" "$LINE" 2>&1', GUARD=GUARD, MODE=mode, LINE=line, **env)

    def start(self, line: str, **env: str) -> subprocess.Popen[str]:
        """The same, under way."""
        words = ["node", "-e", GUARD, "run", line]
        env = {**self.env, **env}
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        return subprocess.Popen(
            words, cwd=self.folder, env=env, stdout=pipe, stderr=out, text=True, start_new_session=True
        )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("postgres")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> str:
    """A PATH with node, npm and PostgreSQL's programs."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "node").symlink_to(toolchain.node())
    library = toolchain.node().parent.parent / "lib" / "node_modules" / "npm" / "bin"
    for name in ("npm", "npx"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{toolchain.node()}" "{library / name}-cli.js" "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{cluster.bin}:/usr/bin:/bin"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, tools: str) -> Path:
    """node_modules with Prisma's engine and the driver pg, fetched once."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "package.json").write_text('{"private": true}')
    shutil.copytree(PLAYED, folder / "played")
    words = ["npm", "install", "--no-audit", "--no-fund", "--install-links", "./played"]
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, "PATH": tools}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder / "node_modules"


@pytest.fixture
def bare(cluster: Cluster, tools: str, tmp_path: Path) -> Project:
    """No package at all: psql is what there is."""
    name = f"bare{next(COUNT)}"
    cluster.psql(f"CREATE DATABASE {name}")
    return Project(tmp_path, cluster, name, tools)


@pytest.fixture
def prisma(bare: Project, packages: Path) -> Project:
    """With Prisma, and the driver that it needs."""
    (bare.folder / "node_modules").symlink_to(packages)
    bare.write()
    return bare
