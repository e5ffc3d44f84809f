"""Deployments and rollbacks that succeed; each ends with which release answers where."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import StageStarted
from dojo_deploy.runs.conduct import Result
from tests.e2e.fleet import Fleet
from tests.e2e.looking import currents, serves, variant, watch

HASTE = {"gate.every": "100ms", "gate.in_a_row": "2"}


def back(site: Fleet, *, to: str = "", limit: str = "") -> Result:
    return app.rollback(site.inventory, to=to, limit=limit, overrides=HASTE)


def test_a_good_release_serves_on_every_host_and_loses_no_request(site: Fleet) -> None:
    result = site.deploy("v2", probe=400, at_least=5000)

    assert (result.verdict, result.exit_code) == ("done", 0)
    assert result.load and result.load.failures == 0 and result.load.requests >= 5000
    assert set(site.answers()) == {result.release}
    assert site.census().verdict == "consistent"


@pytest.mark.soak
def test_a_limit_ends_partial_and_a_whole_deployment_heals_the_mix(site: Fleet) -> None:
    old = site.release("v1")

    partial = site.deploy("v2", limit="web1,web2")

    assert (partial.verdict, partial.exit_code) == ("partial", 0)
    new = partial.release
    assert currents(site) == {"web1": new, "web2": new, "web3": old}
    assert site.census().verdict == "partial"
    assert set(site.answers()) == {new, old}
    shown = site.invoke("status")
    assert shown.returncode == 0 and "partial" in shown.stdout

    rest = site.deploy("v2", limit="!web1,!web2")
    assert (rest.verdict, currents(site)) == ("partial", dict.fromkeys(("web1", "web2", "web3"), new))
    assert site.invoke("status").returncode == 0
    serves(site, new)


@pytest.mark.soak
def test_an_exclusion_touches_all_the_others(site: Fleet) -> None:
    old = site.release("v1")

    partial = site.deploy("v2", limit="!web3")

    assert (partial.verdict, partial.exit_code) == ("partial", 0)
    assert currents(site) == {"web1": partial.release, "web2": partial.release, "web3": old}
    healed = site.deploy("v2")
    assert healed.verdict == "done"
    serves(site, healed.release)


def test_a_rollback_brings_back_the_environment_of_its_release_without_the_repository(
    site: Fleet, tmp_path: Path
) -> None:
    def own(document: dict[str, Any]) -> None:
        document["app"]["env_file"] = {"file": str(environment)}
        document["app"]["source"]["repository"] = str(repository)

    environment, repository = tmp_path / "app.env", tmp_path / "repository"
    shutil.copytree(site.site.app.source.repository, repository)
    text = Path(site.site.app.env_file.name).read_text()  # type: ignore[union-attr]
    environment.write_text(text)
    mine = variant(site, tmp_path / "inventories" / "sandbox.yml", own)
    queue = jobs_done_or_waiting(site, put=True)

    environment.write_text(text.replace("/0\n", "/9\n"))
    assert mine.deploy("v2").verdict == "done"
    assert jobs_done_or_waiting(site) == 0, "v2 reads the Redis database that its own environment names"
    repository.rename(tmp_path / "moved away")
    watched = watch(mine, lambda wishes: app.rollback(mine.inventory, overrides=HASTE, wishes=wishes))

    assert (watched.result.verdict, watched.result.exit_code) == ("done", 0), watched.output
    assert not [event for event in watched.of(StageStarted) if event.stage in ("build", "prepare", "migrate")]
    assert jobs_done_or_waiting(site) == queue
    serves(site, site.release("v1"))


def jobs_done_or_waiting(site: Fleet, *, put: bool = False) -> int:
    url = f"{site.site.url}/jobs"
    if put:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5) as answer:
            assert answer.status == 200
    with urllib.request.urlopen(url, timeout=5) as answer:
        return sum(json.load(answer).values())


def test_a_rollback_skips_what_failed_and_what_was_left(site: Fleet) -> None:
    first = site.release("v1")
    assert site.deploy("v2").verdict == "done"
    second = site.release("v2")
    assert site.deploy("v3", overrides={"gate.within": "4s", "gate.grace": "500ms"}).verdict == "rolled back"

    assert back(site).verdict == "done"
    serves(site, first)

    bad = {known.id: known.bad for known in app.releases(site.inventory)}
    assert bad[second] and not bad[first]
    with pytest.raises(RefusedError, match="no earlier release"):
        back(site)
    refused = site.invoke("rollback")
    assert refused.returncode == 10 and "no earlier release" in refused.stderr
    serves(site, first)


@pytest.mark.parametrize("name", ["ref", "commit", "id"])
def test_a_rollback_finds_its_target_by_any_of_its_names(site: Fleet, name: str) -> None:
    known = next(known for known in app.releases(site.inventory) if known.ref == "v1")
    to = {"ref": "v1", "commit": known.commit[:8], "id": known.id}[name]

    plan = app.plan(site.inventory, "rollback", to=to, overrides=HASTE)

    assert plan.release.id == known.id


@pytest.mark.soak
def test_a_rollback_to_a_commit_serves_that_commit(site: Fleet) -> None:
    known = next(known for known in app.releases(site.inventory) if known.ref == "v1")
    assert site.deploy("v2", overrides={"batches": '["50%"]'}).verdict == "done"

    assert back(site, to=known.commit[:8]).verdict == "done"

    serves(site, known.id)
