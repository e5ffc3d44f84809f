"""Why pg_restore failed: the archive's own fault, or that of the place in which it was read."""

from __future__ import annotations

import re

from dojo_deploy.databases.framed import Framed
from dojo_deploy.databases.postgres_scripts import ENDED
from dojo_deploy.errors import BackupError, DamagedError

# What it says of the archive itself, and what is said of one that is packed; the server's words come behind others.
FAULTS = re.compile(
    r"(?m)^tar: .*(?:EOF|does not look like|Skipping to next header)|^dump/\S+: FAILED|^sha256sum: |"
    r"^pg_restore: (?:error|fatal): (?!could not execute query|COPY failed|connection|while )"
    r".*(?:archive|input file|end of file|compress|file header|sanity check|differs from format|corrupt|block ID"
    r"|block type|dumpId|entry ID|magic)"
)
SHOWN = 500  # characters


def refuse_failed(what: str, heard: Framed) -> None:
    """Raises DamagedError for a bad archive. A full disk, a deadline or a database that is gone says nothing of it:
    BackupError.
    """
    if heard.status:
        kind = DamagedError if FAULTS.search(heard.words) else BackupError
        why = heard.words[-SHOWN:] or ("database.backups.within was over" if heard.status in ENDED else "")
        raise kind(f"pg_restore could not {what} the dump (ended {heard.status})", hint=why)
