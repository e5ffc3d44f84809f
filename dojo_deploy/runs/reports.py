"""The report of a run: found by its id, told again from journal and store, written as one file."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dojo_deploy.configuration.finding import name_to_type
from dojo_deploy.durable import make_folder
from dojo_deploy.engine import journal
from dojo_deploy.engine.retell import retell
from dojo_deploy.errors import ConfigError, DojoError, RefusedError
from dojo_deploy.session import OpenSession, work_folder

FILE = "report.html"


@dataclass(frozen=True)
class Report:
    """One run's page; `path` is its place beside the run's journal on this machine."""

    run: str
    html: str
    path: Path


def report_of(session: OpenSession, run: str) -> Report:
    """The report of `run` (an id, or the part of one that `history` shows), or of the newest run.

    The store may be away: then this machine's journal has to do, and the page says so. Raises RefusedError for a run
    that is unknown, ConfigError for a part that fits several.
    """
    from dojo_deploy.reporters.html import page

    site = session.inventory
    root = work_folder(site)
    found = _find(session, root, run)
    path = journal.path_of(root, site.scope, found)
    told = retell(session.store, found, path)
    html = page(told.events, missing=told.missing, inventory=name_to_type(site.path))
    return Report(found, html, path.with_name(FILE))


def write(report: Report, path: Path) -> None:
    """Whole or not at all, 0600. Raises ConfigError for a place that cannot be written."""
    try:
        make_folder(path.parent.absolute())
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(report.html)
        Path(name).replace(path)
    except OSError as exc:
        raise ConfigError(f"the report cannot be written to {path}: {exc.strerror}", key="--out") from exc


def _find(session: OpenSession, root: Path, run: str) -> str:
    here = journal.runs(root, session.inventory.scope)
    try:
        known = {*here, *(key.split("/")[1] for key in session.store.list("runs/"))}
    except DojoError:
        if not here:
            raise
        known = set(here)
    if not known:
        raise RefusedError("there was no run yet", hint="invoke deploy")
    fits = sorted(name for name in known if name.startswith(run) or name.endswith(run))
    if not fits:
        raise RefusedError(f"no run {run!r} is known", hint="invoke history   lists the runs")
    if run and run not in fits and len(fits) > 1:
        raise ConfigError(f"{run!r} may be {len(fits)} runs: {' '.join(fits[:4])}{' …' * (len(fits) > 4)}", key="--run")
    return run if run in fits else fits[-1]
