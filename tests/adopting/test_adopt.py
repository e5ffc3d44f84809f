"""The runbook's way is adopted, deployed over, and gone back to, and no user is without an answer.

The tests are one story, told in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.config import strategy_document, strategy_from_document
from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import BLUE
from dojo_deploy.release import Placement
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import opened
from dojo_deploy.steps import releases, services
from dojo_deploy.strategies import Adopt
from tests.adopting.bed import WEB, Bed, made
from tests.e2e.visitors import visiting

QUICK = {"gate.every": "100ms", "gate.grace": "1s", "gate.in_a_row": "2", "bake.first": "0s"}
OLD = ("one", "old key", "by hand")
NEW = ("two", "new key", "deployed")
BY_HAND = {name: ["shop", "shop-jobs"] for name in WEB}
OURS = {name: ["corner-shop-production-blue-web", "corner-shop-production-blue-worker"] for name in WEB}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with made() as found:
        yield found


def done(result: Result, *, at_least: int = 0) -> None:
    assert (result.verdict, result.exit_code) == ("done", 0), result.reason
    assert result.load and result.load.failures == 0 and result.load.requests >= at_least, result.load


def measured(at_least: int = 0) -> Wishes:
    return Wishes(probe_rate=50, probe_at_least=at_least)


@pytest.mark.parametrize(
    ("checkout", "change", "said"),
    [
        ("shop", {}, "'shop' is no absolute path"),
        ("/nowhere", {}, "web1: /nowhere cannot be adopted: .*/nowhere"),
        ("~/shop", {"web": {"script": "dist/server.js"}}, r"has no dist/server\.js, which the inventory runs"),
        (
            "~/shop/logs",
            {"web": {"script": "jobs.log"}, "worker": {"script": "jobs.log"}},
            "web1: PM2 runs nothing in ",
        ),
        ("~", {}, "'~' is no absolute path"),
    ],
)
def test_what_cannot_be_adopted_is_refused_and_nothing_is_touched(
    bed: Bed, checkout: str, change: Mapping[str, Mapping[str, Any]], said: str
) -> None:
    def changed(document: dict[str, Any]) -> None:
        for name, keys in change.items():
            document["app"]["processes"][name] |= keys

    with pytest.raises(Exception, match=said) as caught:
        app.adopt(checkout, bed.variant(changed).inventory)
    assert getattr(caught.value, "exit_code", 0) in (2, 10)
    assert bed.names() == BY_HAND and bed.straight() == dict.fromkeys(WEB, OLD)


def test_hosts_at_different_commits_are_refused(bed: Bed) -> None:
    bed.run("web2", "git -C ~/shop checkout -q v2")
    try:
        with pytest.raises(RefusedError, match=r"the checkouts differ: web1 is at .*, web2 is at "):
            app.adopt("~/shop", bed.fleet.inventory)
    finally:
        bed.run("web2", "git -C ~/shop checkout -q v1")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(bed: Bed) -> None:
    shown = bed.fleet.invoke("adopt", "--checkout", "~/shop", "--dry-run")

    assert shown.returncode == 0, shown.stderr
    assert "PM2 runs shop, shop-jobs" in shown.stdout and "take over" in shown.stdout
    assert bed.names() == BY_HAND
    assert not (bed.folder / "web1/srv").exists()


@pytest.mark.soak
def test_an_adoption_that_fails_gives_back_what_ran(bed: Bed) -> None:
    def crashing(document: dict[str, Any]) -> None:
        document["app"]["processes"]["web"]["args"] = ["--crash"]

    with visiting(bed.url) as visitors:
        failed = app.adopt("~/shop", bed.variant(crashing).inventory, overrides=QUICK, wishes=measured())

    assert (failed.verdict, failed.exit_code) == ("rolled back", 20), failed.reason
    assert {visit.status for visit in visitors.visits} == {200}
    assert bed.about() == {OLD} and bed.straight() == dict.fromkeys(WEB, OLD)
    assert bed.names() == BY_HAND
    assert bed.fleet.census().verdict == "empty"


def test_what_runs_by_hand_is_adopted_deployed_over_and_gone_back_to(bed: Bed) -> None:
    site = bed.fleet.inventory
    with visiting(bed.url) as visitors:
        adopted = app.adopt("~/shop", site, overrides=QUICK, wishes=measured(300))
        done(adopted, at_least=300)
        assert bed.about() == {OLD} and bed.names() == OURS
        assert adopted.release.startswith("legacy-")
        assert "shop-jobs" not in bed.run("web1", "cat ~/.pm2/dump.pm2").replace("/shop-jobs", "")

        done(app.deploy(site, ref="v2", overrides=QUICK, wishes=measured(300)), at_least=300)
        assert bed.about() == {NEW} and bed.names() == OURS

        back = app.rollback(site, overrides=QUICK, wishes=measured(300))
        done(back, at_least=300)
    assert back.release == adopted.release
    assert bed.about() == {OLD} and bed.straight() == dict.fromkeys(WEB, OLD)
    assert len(visitors.visits) > 200 and {visit.status for visit in visitors.visits} == {200}
    assert bed.fleet.census().verdict == "consistent"
    for name in WEB:
        # One worker at a time, on the files that were there: whoever wrote last writes now.
        lines = bed.run(name, "tail -n 3 ~/shop/logs/jobs.log").splitlines()
        assert len({line.split()[1] for line in lines}) == 1 and lines[-1].startswith("one "), lines
        assert bed.run(name, "git -C ~/shop status --porcelain") == ""


def test_it_is_adopted_once(bed: Bed) -> None:
    with pytest.raises(RefusedError, match=r"PM2 runs nothing in |has a release already"):
        app.adopt("~/shop", bed.fleet.inventory)


def test_a_checkout_that_was_moved_since_is_no_release_any_more(bed: Bed) -> None:
    release = bed.fleet.census().rows["web1"]["current"]
    bed.run("web1", "git -C ~/shop checkout -q v2")
    try:
        with opened(bed.fleet.site) as session:
            host = session.inventory.hosts["web1"]
            place = Placement(host, BLUE, release, session.inventory.app)
            moved = session.shell("web1").run(services.link(place), within=20)
        assert moved.status == 1 and "and was adopted at" in moved.complaint, moved
    finally:
        bed.run("web1", "git -C ~/shop checkout -q v1")


def test_it_is_never_pruned_and_takes_no_others_place() -> None:
    order = ("legacy-abc", "r1", "r2", "r3")

    assert releases.victims(order, keep=2, protected=(), order=order) == ("r1",)


def test_another_machine_can_go_on_with_it() -> None:
    adopting = Adopt({"web1": "/srv/shop", "web2": "/home/deploy/shop"}, commit="0123456", found=("web1: shop",))

    assert strategy_from_document(strategy_document(adopting)) == adopting
