"""What is asked of a checkout, where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dojo_deploy.steps.adopting import LOOK


def test_a_folder_that_is_no_checkout_is_refused_in_gits_own_words(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", LOOK],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CHECKOUT": str(tmp_path), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode != 0 and "@commit" not in done.stdout
    assert "not a git repository" in done.stderr and done.stderr.count("\n") == 1
