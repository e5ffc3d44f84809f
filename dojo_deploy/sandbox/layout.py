"""Every path of a sandbox, named once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

VERSION = "1"


@dataclass(frozen=True)
class Layout:
    """`home` is absolute and without symlinks, so that paths can be compared with what /proc says."""

    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state.json"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def bin(self) -> Path:
        return self.home / "tools" / "bin"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def key(self) -> Path:
        return self.home / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.home / "ssh" / "known_hosts"

    @property
    def nginx(self) -> Path:
        return self.host("lb1") / "nginx"

    @property
    def hosts(self) -> Path:
        return self.home / "hosts"

    def host(self, name: str) -> Path:
        return self.hosts / name

    def host_key(self, name: str) -> Path:
        return self.home / "ssh" / "host_keys" / name

    def repository(self, app: str) -> Path:
        return self.home / "repositories" / app

    def data(self, service: str) -> Path:
        return self.home / "data" / service

    def log(self, service: str) -> Path:
        return self.home / "log" / f"{service}.log"

    def record(self, service: str) -> Path:
        """Which process the service is: its line of /proc/<pid>/stat and the machine's boot id."""
        return self.home / "run" / service

    def create(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in ("log", "run", "data", "ssh", "secrets", "hosts", "tools"):
            (self.home / folder).mkdir(exist_ok=True)
        self.secrets.chmod(0o700)


def cache() -> Path:
    """What all sandboxes of this user share: PM2, npm's cache, the list of claimed ports."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dojo_deploy" / "sandbox"
