from __future__ import annotations

from pathlib import Path

import pytest
from workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.commit({"server.js": "1", "package.json": "{}", "apps/web/index.js": "web", "apps/.env": "SECRET=x"})
    return made
