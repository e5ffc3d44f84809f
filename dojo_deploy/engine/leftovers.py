"""What runs leave behind, in the store and on this machine: the newest is kept, the rest goes."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from dojo_deploy.engine import ledger
from dojo_deploy.engine.journal import runs
from dojo_deploy.engine.run import Run
from dojo_deploy.errors import DojoError
from dojo_deploy.events import Warned

RUNS = 20  # in the store, with header and notes
ARTIFACTS = 5  # in the store: whole, one may be hundreds of megabytes
JOURNALS = 50  # on this machine
LOADS = 20  # results of probers on this machine
DAY = 86400.0


def clear(run: Run, work: Path) -> None:
    """Removes what is too old beside `run`; failing is only a warning. `work` is the folder `.dojo`."""
    session = run.session
    try:
        ledger.prune(session.store, keep=RUNS - 1, artifacts=ARTIFACTS - 1, open_run=run.id)
        _clear_machine(work, session.inventory.scope, session.clock.now())
    except (DojoError, OSError) as exc:
        run.trail.emit(Warned(text=f"what old runs left behind could not be removed: {exc}"))


def _clear_machine(work: Path, scope: str, now: float) -> None:
    for old in runs(work, scope)[JOURNALS:]:
        shutil.rmtree(work / "runs" / scope / old)
    # One that is resumed with removes itself; this very run, or another application's, may just be about to read it.
    for artifact in (work / "artifacts").glob("*.tgz"):
        if artifact.stat().st_mtime < now - DAY:
            _remove(artifact)
    loads = sorted((work / "probe").glob("load-*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in loads[LOADS:]:
        _remove(path)


def _remove(path: Path) -> None:
    # Two runs of one machine may end together.
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
