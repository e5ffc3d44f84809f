"""What is made of a host's answer, without a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.checks.judge import judge
from dojo_deploy.checks.look import Answer, Listener
from dojo_deploy.checks.wanted import wanted
from dojo_deploy.inventory import App, Host, Inventory, Process, Processes, Ssh
from dojo_deploy.processes.pm2 import Pm2
from dojo_deploy.readings import Finding
from dojo_deploy.release import HostSeen
from dojo_deploy.stores.host import PrimaryHost

PORTS = {"web": {"blue": 3000, "green": 3001, "proof": 3002}}
HOST = Host("web1", ("web",), "10.0.0.1", "/srv/shop", Ssh(user="deploy", port=2222, gateway="bastion"), ports=PORTS)
APP = App("shop", "/srv/shop", "production", processes=Processes(Pm2(), {"web": Process("server.js", port=3000)}))
SITE = Inventory(
    APP, {"web1": HOST}, {"web": ("web1",)}, PrimaryHost(), NoBalancer(), path="inventories/production.yml"
)
WELL = Answer(nearest="/srv/shop", inodes=(10**6, 10**6))
SEEN = HostSeen("web1", free=10**10)


def found(answer: Answer = WELL, seen: HostSeen = SEEN) -> list[Finding]:
    return list(judge(SITE, HOST, wanted(SITE, HOST, {"node": ">=20"}), answer, seen))


def test_a_host_that_is_well_has_no_fault() -> None:
    assert found(replace(WELL, versions={"node": "v20.1.0"})) == []


@pytest.mark.parametrize(
    ("answer", "fault", "what", "fix"),
    [
        (replace(WELL, versions={"node": "v18.2.0"}), "version", "asks for >=20", "sudo n"),
        (replace(WELL, skew=-700.0), "clock", "12 minutes behind", "set-ntp"),
        (replace(WELL, inodes=(10**6, 9)), "disk-full", "9 inodes", "apt-get clean"),
        (replace(WELL, release=2**34), "disk-full", "a release needs 20480", "apt-get clean"),
        (replace(WELL, writable=False, nearest="/srv"), "root-folder", "is not there", "invoke setup -i production"),
        (replace(WELL, elsewhere={"flock": ""}), "no-program", "there is no flock", "install -y util-linux"),
    ],
)
def test_each_fault_has_its_line(answer: Answer, fault: str, what: str, fix: str) -> None:
    (one,) = found(answer)

    assert (one.fault, one.host) == (fault, "web1")
    assert what in one.what and fix in one.fix


def test_whose_port_it_is_decides() -> None:
    mine = replace(WELL, ports={3000: Listener("deploy", "7", "node old.js ", "/home/deploy/app")})
    assert found(mine, replace(SEEN, running={"blue/web": ("r1",)})) == []
    (one,) = found(mine)
    assert "port 3000, of web in blue, is taken by node old.js (pid 7, in /home/deploy/app)" in one.what
    assert one.fix == "invoke adopt -i production --checkout /home/deploy/app --dry-run"
    (ours,) = found(replace(WELL, ports={3000: Listener("deploy", "7", "node x ", "/srv/shop/current")}))
    assert ours.fix.startswith("ssh -p 2222 -J bastion deploy@10.0.0.1 'ps ")
    (other,) = found(replace(WELL, ports={3002: Listener("root", "", "")}))
    assert "of web in proof, is taken by a process of root" in other.what and "sudo ss -ltnp" in other.fix
    assert not any(word in one.fix for one in (one, ours, other) for word in ("kill", "fuser"))


def test_only_as_much_is_asked_as_a_host_is_for() -> None:
    lb = replace(HOST, name="lb1", groups=("lb",))
    site = replace(SITE, hosts={**SITE.hosts, "lb1": lb}, groups={**SITE.groups, "lb": ("lb1",)})

    assert not wanted(site, lb, {"node": ">=20"}).programs
    assert {"node", "pm2", "flock"} <= set(wanted(site, HOST, {}).programs)
