"""The script of a dump in parallel, where it cannot even begin."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dojo_deploy.databases.postgres_spool_scripts import DUMP


def test_a_size_that_cannot_be_asked_for_is_told_in_psqls_words(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", DUMP, "sh", "MARK"],
        input="\n",
        env={
            "PATH": os.environ["PATH"],
            "DOJO_BIN": "",
            "DOJO_ASK_SECONDS": "10",
            "DOJO_MIGRATIONS": "",
            "DOJO_SPOOL": str(tmp_path),
            "PGHOST": str(tmp_path),
            "PGDATABASE": "shop",
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    begun, told, said = done.stdout.partition("\nMARK 2\n")
    assert (begun, told) == ("MARK\n", "\nMARK 2\n") and said.startswith("psql: error: ")
