"""Many hosts behind one bastion, whose sshd admits ten unknown callers at once, as Debian's does."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from dojo_deploy import load_inventory
from tests.e2e.fleet import Fleet
from tests.system.bed import WEB, Bed
from tests.system.setup import USER
from tests.system.story import deploying

EACH = 15


@pytest.mark.soak
def test_forty_five_hosts_behind_one_bastion_are_all_reached(bed: Bed) -> None:
    balancer = bed.machines["lb1"]
    for name in WEB:
        bed.machines[name].run(f"install -d -o {USER} /srv/many")
    seen = [_admitted(bed, name) for name in ("lb1", *WEB)]
    document: dict[str, Any] = deepcopy(dict(load_inventory(bed.fleet.inventory).document))
    document["hosts"] = {
        "web": [
            {"name": f"{name}-{number}", "address": bed.machines[name].address, "root": f"/srv/many/{number}"}
            for name in WEB
            for number in range(EACH)
        ]
    }
    document["app"] |= {"name": "pages", "processes": {}, "shared": []}
    document["app"]["build"] |= {"run": []}
    del document["app"]["env_file"], document["url"], document["probes"], document["strategies"]
    document["balancer"], document["store"] = "none", {"kind": "directory", "path": str(bed.folder / "store")}
    document["ssh"] |= {"gateway": f"{USER}@{balancer.address}", "connect_within": "20s"}
    path = bed.folder / "inventories" / "many.yml"
    path.write_text(json.dumps(document))

    story = deploying(Fleet(path), "v1", batches='["100%"]', gate__probes='["release"]')

    assert story.ended == ("done", 0), story.result.reason
    for name in WEB:
        lines = bed.machines[name].run("readlink /srv/many/*/slots/blue/current").split()
        assert [line.rpartition("/")[2] for line in lines] == [story.result.release] * EACH
        bed.machines[name].run("rm -rf /srv/many")
    met = [_admitted(bed, name) - before for name, before in zip(("lb1", *WEB), seen, strict=True)]
    assert met[0] <= 2, f"the bastion was asked {met[0]} times for one connection"


def _admitted(bed: Bed, name: str) -> int:
    return int(bed.machines[name].run("grep -c 'Accepted publickey' /var/log/sshd.log || :"))
