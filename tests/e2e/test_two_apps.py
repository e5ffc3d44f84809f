"""Two applications on the same hosts deploy at the same time, and never meet."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from dojo_deploy.events import RunFinished, RunStarted
from dojo_deploy.sandbox.inventory import bring_up, home
from tests.e2e.fleet import Fleet
from tests.e2e.looking import deploying, pm2_names, serves, told


def test_two_applications_deploy_at_once_without_meeting(site: Fleet) -> None:
    path = site.inventory.with_name("other.yml")
    path.write_text("sandbox: {hosts: 3, app: other}\n")
    bring_up(path, {"hosts": 3, "app": "other"})
    other = Fleet(path)

    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(deploying, site, "v2")
        theirs = pool.submit(deploying, other, "v1", batches='["100%"]')
        runs = [ours.result(), theirs.result()]

    for watched in runs:
        assert watched.result.verdict == "done", watched.output
    (started_1, started_2) = (run.of(RunStarted)[0].at for run in runs)
    (ended_1, ended_2) = (run.of(RunFinished)[0].at for run in runs)
    assert max(started_1, started_2) < min(ended_1, ended_2), "they did not run at the same time"
    serves(site, runs[0].result.release)
    serves(other, runs[1].result.release)
    assert (app_of(site), app_of(other)) == ("tcgdojo", "other")
    apart(site, other)


def app_of(fleet: Fleet) -> str:
    with urllib.request.urlopen(f"{fleet.site.url}/health", timeout=5) as answer:
        return str(json.load(answer)["app"])


def apart(one: Fleet, two: Fleet) -> None:
    """Names, ports, locks, includes, processes and store keys are each one's own."""
    first, second = one.site, two.site
    assert not {*first.scope.split()} & {*second.scope.split()}
    for host in first.hosts:
        mine, theirs = (set(site.hosts[host].ports.get("web", {}).values()) for site in (first, second))
        assert not mine & theirs
        if host != "lb1":
            assert first.hosts[host].root != second.hosts[host].root
    names = [{name for listed in pm2_names(site).values() for name in listed} for site in (first, second)]
    assert names[0] and names[1] and not names[0] & names[1]
    includes = home(one.inventory, {}) / "hosts" / "lb1" / "nginx" / "dojo"
    ports = [{str(host.ports["web"]["blue"]) for host in site.group("web")} for site in (first, second)]
    for site, own, foreign in ((first, ports[0], ports[1]), (second, ports[1], ports[0])):
        files = [includes / f"{site.scope}.conf", *(includes / site.scope / "servers").glob("*.conf")]
        text = "".join(file.read_text() for file in files)
        assert all(port in text for port in own) and not any(port in text for port in foreign)
    saved = told(first, "cat ~/.pm2/dump.pm2")
    assert all(f"{site.scope}-blue-web" in text for text in saved.values() for site in (first, second))
    keys = [_keys(fleet) for fleet in (one, two)]
    assert keys[0] and keys[1] and not {key for key in keys[0] if "/runs/" in key} & keys[1]


def _keys(fleet: Fleet) -> set[str]:
    """Full keys in the bucket, as another client sees them."""
    from tests.sandbox.clients import s3_client

    state = json.loads((home(fleet.inventory, {}) / "state.json").read_text())
    found = s3_client(state).list_objects_v2(Bucket=state["s3"]["bucket"], Prefix="deploy/")
    return {entry["Key"] for entry in found["Contents"] if f"/{fleet.site.scope}/" in entry["Key"]}
