"""The reference is what the classes say now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_not_stale() -> None:
    # In a process of its own: no other test's imports or folder change what it finds.
    program = "from docs.make_reference import FILE, reference; print(reference() == FILE.read_text('utf-8'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n", "docs/reference.md is stale: python docs/make_reference.py"
