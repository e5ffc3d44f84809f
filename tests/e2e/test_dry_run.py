"""`--dry-run` shows what a run then does, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.events import PlanMade, StepStarted
from dojo_deploy.sandbox.inventory import home
from dojo_deploy.session import opened
from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import deploying, serves

SETS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]


def test_a_dry_run_shows_what_the_run_then_does_and_changes_nothing(site: Fleet) -> None:
    asked = ("deploy", "--ref", "v2", *SETS)
    before = dict(everything(site))

    as_json = site.invoke(*asked, "--dry-run", "--json")
    as_text = site.invoke(*asked, "-C")
    by_invoke = site.invoke("--dry", *asked)

    assert [as_json.returncode, as_text.returncode, by_invoke.returncode] == [0, 0, 0], as_json.stderr
    assert changes(before, dict(everything(site))) == set()
    assert by_invoke.stdout == as_text.stdout
    shown = json.loads(as_json.stdout)
    watched = deploying(site, "v2")
    assert watched.result.verdict == "done", watched.output
    (made,) = watched.of(PlanMade)
    assert json.loads(json.dumps(made.plan)) == shown
    assert lanes_of([event.step for event in watched.of(StepStarted)]) == lanes_of(list(steps_of(shown)))
    for line in (line for step in every_step(shown) for does in step["does"] for line in does.splitlines()):
        assert line in as_text.stdout
    serves(site, watched.result.release)


@pytest.mark.soak
def test_a_dry_rollback_changes_nothing_either(site: Fleet) -> None:
    before = dict(everything(site))

    shown = site.invoke("rollback", "--to", "v1", "--dry-run", "--json")

    assert shown.returncode == 0, shown.stderr
    assert [stage["name"] for stage in json.loads(shown.stdout)["stages"]][:1] == ["batch 1 of 2"]
    assert changes(before, dict(everything(site))) == set()


def everything(site: Fleet) -> Iterator[tuple[str, str]]:
    """Whatever a deployment could change: the hosts' trees, PM2's list, nginx's files, the store."""
    hosts = home(site.inventory, {}) / "hosts"
    for folder, _, names in os.walk(hosts):
        if any(part in (".pm2", "logs", "temp", "node_modules") for part in Path(folder).relative_to(hosts).parts):
            continue
        yield folder, oct(Path(folder).stat().st_mode)
        for name in names:
            path = Path(folder, name)
            state = path.lstat()
            told = str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
            yield str(path), f"{state.st_mode:o} {state.st_mtime_ns} {told}"
    with opened(site.site) as session:
        for key in session.store.list(""):
            stored = session.store.get(key)
            yield f"store {key}", stored.etag if stored else ""
    yield from ((host, str(row)) for host, row in site.census().rows.items())


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def steps_of(plan: Mapping[str, Any]) -> Iterator[str]:
    for stage in plan["stages"]:
        for lane in stage["lanes"]:
            yield from (f"{stage['name']}/{lane['host']}/{step['name']}" for step in lane["steps"])


def every_step(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for stage in plan["stages"]:
        for lane in stage["lanes"]:
            yield from lane["steps"]


def lanes_of(steps: list[str]) -> dict[str, list[str]]:
    """Each host's steps in their order; hosts of a stage run side by side."""
    lanes: dict[str, list[str]] = {}
    for step in steps:
        lanes.setdefault(step.split("/")[1], []).append(step)
    return lanes
