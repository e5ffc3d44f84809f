"""Many hosts behind one bastion, whose sshd admits ten unknown callers at once, as Debian's does."""

from __future__ import annotations

import json
import signal
from copy import deepcopy
from typing import Any

import pytest

from dojo_deploy import load_inventory
from tests.e2e.fleet import Fleet
from tests.system.bed import WEB, Bed
from tests.system.setup import USER
from tests.system.story import OTHER, counting, deploying, loses_nothing, within

EACH = 15


def test_forty_five_hosts_behind_one_bastion_are_all_reached(bed: Bed) -> None:
    for name in WEB:
        bed.machines[name].run(f"install -d -o {USER} /srv/many")
    seen = [_admitted(bed, name) for name in ("lb1", *WEB)]
    document = _behind(bed, connect_within="20s")
    gateway = document["hosts"]["web"][0]["gateway"]
    document["hosts"] = {
        "web": [
            {
                "name": f"{name}-{number}",
                "address": bed.machines[name].address,
                "root": f"/srv/many/{number}",
                "gateway": gateway,
            }
            for name in WEB
            for number in range(EACH)
        ]
    }
    document["app"] |= {"name": "pages", "processes": {}, "shared": []}
    document["app"]["build"] |= {"run": []}
    del document["app"]["env_file"], document["url"], document["probes"]
    document["balancer"], document["store"] = "none", {"kind": "directory", "path": str(bed.folder / "store")}
    document["strategies"] = {"rolling": {"migrate": None}}

    story = deploying(_fleet(bed, document), "v1", batches='["100%"]', gate__probes='["release"]')

    assert story.ended == ("done", 0), story.result.reason
    for name in WEB:
        lines = bed.machines[name].run("readlink /srv/many/*/slots/blue/current").split()
        assert [line.rpartition("/")[2] for line in lines] == [story.result.release] * EACH
        bed.machines[name].run("rm -rf /srv/many")
    met = [_admitted(bed, name) - before for name, before in zip(("lb1", *WEB), seen, strict=True)]
    assert met[0] <= 2, f"the bastion was asked {met[0]} times for one connection"


@pytest.mark.soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_bastion_that_loses_all_connections_within_a_step_is_gone_through_again(bed: Bed, strategy: str) -> None:
    before, fleet = bed.serving(), _fleet(bed, _behind(bed))
    bed.counted()

    def drop() -> None:
        # All that the run has: those of the three hosts end with it.
        assert bed.machines["lb1"].send(signal.SIGKILL, f"sshd: {USER}")

    phase = "batch" if strategy == "rolling" else "prepare"
    story = deploying(
        fleet, OTHER[before], (within("web2"), drop), strategy=strategy, hooks=counting(phase=phase), probe=50
    )

    assert story.ended == ("done", 0), story.result.reason
    loses_nothing(story)
    assert bed.counted() == {"web1": 1, "web2": 1, "web3": 1}
    assert bed.troubles(OTHER[before]) == []


@pytest.mark.soak
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_a_bastion_that_cannot_be_reached_before_the_run_is_named(bed: Bed, strategy: str) -> None:
    before, fleet = bed.serving(), _fleet(bed, _behind(bed))
    bed.machines["lb1"].freeze("sshd")

    done = fleet.invoke("deploy", "--ref", OTHER[before], "--strategy", strategy, within=60)

    assert done.returncode == 10, done.stdout + done.stderr
    assert bed.machines["lb1"].address in done.stderr, done.stderr
    release = bed.fleet.release(before)
    assert bed.answers() == dict.fromkeys(WEB, release)
    assert set(bed.through()) == {release}
    bed.heal()
    assert bed.troubles(before) == []


def _behind(bed: Bed, **ssh: str) -> dict[str, Any]:
    """The bed's own inventory with its web hosts behind the balancer's sshd."""
    document: dict[str, Any] = deepcopy(dict(load_inventory(bed.fleet.inventory).document))
    gateway = f"{USER}@{bed.machines['lb1'].address}"
    for host in document["hosts"]["web"]:
        host["gateway"] = gateway
    document["ssh"] |= ssh
    return document


def _fleet(bed: Bed, document: dict[str, Any]) -> Fleet:
    path = bed.folder / "inventories" / "many.yml"
    path.write_text(json.dumps(document))
    return Fleet(path)


def _admitted(bed: Bed, name: str) -> int:
    return int(bed.machines[name].run("grep -c 'Accepted publickey' /var/log/sshd.log || :"))
