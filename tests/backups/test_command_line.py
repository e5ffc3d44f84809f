"""Backups as they are typed: what is printed, and what it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backups.bed import NAME, PASSWORD, ROLE, Cluster
from tests.sshd import Server, until

DOJO = Path(sys.executable).with_name("dojo")
pytestmark = pytest.mark.soak
Typed = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def typed(cluster: Cluster, way: Server, tmp_path: Path) -> Typed:
    """Starts a line of `dojo` with an inventory that a person could have written."""
    ssh = way.host.ssh
    site = {
        "app": {"name": "shop", "root": "/srv/shop", "processes": {}, "build": {"run": []}},
        "hosts": {"web": [{"name": "db1", "address": way.host.address, "port": ssh.port}]},
        "ssh": {"user": ssh.user, "key": ssh.key, "known_hosts": ssh.known_hosts},
        "store": {"kind": "directory", "path": str(tmp_path / "store")},
        "balancer": "none",
        "database": {
            "kind": "postgres", "name": NAME, "host": "db1", "address": "127.0.0.1", "port": cluster.port,
            "user": ROLE, "password": {"env": "BACKUP_TEST_PASSWORD"}, "bin": str(cluster.bin),
        },
    }  # fmt: skip
    (tmp_path / "production.yml").write_text(json.dumps(site))

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [DOJO, *words, "-i", str(tmp_path / "production.yml")],
            env={**os.environ, "BACKUP_TEST_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str], status: int = 0) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, out + err
    assert "Traceback" not in out + err
    assert PASSWORD not in out + err
    return out + err


def test_from_no_backup_to_a_proven_one(typed: Typed) -> None:
    assert "ALARM   there is no backup" in ended(typed("backup.status"), 30)
    assert "invoke backup.create" in ended(typed("backup.drill"), 10)
    assert "rows in 5 tables" in ended(typed("backup.create"))
    assert "ever proven" in ended(typed("backup.status"), 30)
    assert "proven, 8,506 rows in 5 tables came back" in ended(typed("backup.drill"))
    assert "ALARM" not in ended(typed("backup.status"))
    assert "keep: day" in ended(typed("backup.prune", "--confirm"))
    (listed,) = json.loads(ended(typed("backup.list", "--json")))
    assert listed["proof"]["wrong"] == []


def test_a_controller_that_is_killed_leaves_no_backup_and_the_next_one_is_made(
    typed: Typed, cluster: Cluster, tmp_path: Path
) -> None:
    process = typed("backup.create")
    until(lambda: cluster.dumps(), what="the dump to begin")
    process.kill()
    process.communicate(timeout=10)
    until(lambda: not cluster.dumps(), what="the dump to end by itself")
    assert "no backup yet" in ended(typed("backup.list"))
    ended(typed("backup.create"))
    assert len(list((tmp_path / "store").rglob("manifest.json"))) == 1
