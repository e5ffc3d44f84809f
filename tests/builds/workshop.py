"""A repository, an inventory and a place to build in."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dojo_deploy.builds import Built, build
from dojo_deploy.clock import SystemClock
from dojo_deploy.interfaces import Shell
from dojo_deploy.inventory import App, Build, Host, Inventory, Source
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.local import LocalShell


@dataclass
class Workshop:
    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def git(self, *words: str) -> str:
        who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", "-C", str(self.repository), *words], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        if not self.repository.exists():
            self.repository.mkdir()
            self.git("init", "-q", "-b", "main")
        for name, text in files.items():
            file = self.repository / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def site(
        self,
        *run: str,
        env: Mapping[str, str | Secret] | None = None,
        path: str = ".",
        on: str = "local",
        within: float = 20,
        repository: str | None = None,
    ) -> Inventory:
        source = Source(repository=str(self.repository) if repository is None else repository, path=path)
        app = App("shop", environment="test", source=source, build=Build(run, env or {}, on, within))
        host = Host("builder", ("web",), "127.0.0.1", str(self.root / "host"))
        nothing = cast("Any", None)
        return Inventory(app, {"builder": host}, {"web": ("builder",)}, store=nothing, balancer=nothing)

    def build(self, site: Inventory, ref: str = "") -> Built:
        self.said.clear()
        return build(
            site, ref=ref, cache=self.cache, work=self.root / "work", say=self.said.append, clock=SystemClock(),
            shells=lambda name: cast("Shell", LocalShell(site.hosts[name])),
        )  # fmt: skip


def contents(built: Built) -> dict[str, str]:
    with tarfile.open(built.path) as tar:
        found: dict[str, str] = {}
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            found[member.name] = file.read().decode("utf-8", "replace") if file else member.linkname
        return found
