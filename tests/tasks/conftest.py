"""The command line as a newcomer meets it: real processes, in folders that hold next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Typed = Callable[..., subprocess.CompletedProcess[str]]
BIN = Path(sys.executable).parent

MINIMAL = """\
app: {name: shop, environment: test, root: /srv/shop, source: {repository: SOURCE}, processes: {}, build: {run: []}}
hosts: {web: [{name: web1, address: 127.0.0.1, port: 1}, {name: web2, address: 127.0.0.1, port: 1, root: /srv/two}]}
balancer: {kind: none}
store: {kind: directory, path: STORE}
"""


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Runs a line in an empty folder, and holds it to the manners of every line: no traceback."""

    def run(*words: str, program: str = "dojo", cwd: Path = tmp_path, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(BIN / program), *words],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "80", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An inventory, `shop`, of hosts that do not answer, with a source that has one commit, tagged v1."""
    source = tmp_path / "source"
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    source.mkdir()
    (source / "index.html").write_text("hello\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True, timeout=20)
    path = tmp_path / "inventories" / "shop.yml"
    path.parent.mkdir()
    path.write_text(MINIMAL.replace("SOURCE", str(source)).replace("STORE", str(tmp_path / "store")))
    (path.parent / "known_hosts").touch()
    return path
