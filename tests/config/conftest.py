from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dojo_deploy.config import load_inventory
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory

Write = Callable[[str], Path]

SMALL = """\
app:
  name: tcgdojo
  root: /srv/tcgdojo
  processes: {kind: pm2, web: {script: server.js, port: 3000}}
hosts:
  web: [web1, web2]
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an inventory file and gives its path."""

    def _write(text: str) -> Path:
        path = tmp_path / "inventories" / "production.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return _write


@pytest.fixture
def refusal(write: Write) -> Callable[[str], str]:
    """What loading such an inventory says, with the file's name for its path."""

    def _refusal(text: str) -> str:
        path = write(text)
        with pytest.raises(ConfigError) as caught:
            load_inventory(path)
        return str(caught.value).replace(str(path), path.name)

    return _refusal


@pytest.fixture
def small(write: Write) -> Inventory:
    return load_inventory(write(SMALL))
