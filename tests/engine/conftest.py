from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.killing import Killer, killer
from tests.engine.rig import Fleet

MEMORY = Path("/dev/shm")  # hundreds of runs, each with dozens of fsyncs: on a disk they would take minutes


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def fleet(quick: Path) -> Fleet:
    """Two hosts."""
    return Fleet(quick / "fleet")


@pytest.fixture(scope="session")
def kills() -> Iterator[Killer]:
    with killer() as one:
        yield one
