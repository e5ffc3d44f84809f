"""`setup` on hosts of their own: a real administrator, a real sudo, Debian's nginx as it is installed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.config import load_inventory
from dojo_deploy.inventory import BLUE, Host, Page
from dojo_deploy.processes.systemd import Systemd
from dojo_deploy.sandbox import toolchain
from dojo_deploy.sandbox.layout import Layout
from dojo_deploy.session import opened
from tests.e2e.fleet import Fleet
from tests.sshd import make_key, until
from tests.system.bed import _speaks_ssh
from tests.system.conftest import _lacks
from tests.system.machine import Machine, Rack, TakenError
from tests.system.setup import ADMIN, BASE, MAY, NGINX, OWN, SSHD

pytestmark = pytest.mark.skipif(bool(_lacks()), reason=_lacks())

NUMBERS = {"web1": 61, "lb1": 62, "asks": 63}
# Nobody of that name is on the machine; `deploy` of the base stands for a stranger here.
USER = "shipper"
LB = """\
mkdir -p /etc/nginx/conf.d /var/log/nginx
cat >/etc/nginx/nginx.conf <<'END'
{conf}
END
/usr/sbin/nginx
"""
ASKED = "curl -sS -w ' %{http_code}' -H 'Host: shop.example.org' http://127.0.0.1/"
STATE = "find /srv /etc /home \\( -type d -printf '%p\\n' -o -printf '%p %T@ %s\\n' \\) | sort"
RIGHTS = "/usr/sbin/nginx -T, /usr/sbin/nginx -v, /usr/sbin/nginx -V, /usr/sbin/nginx -s reload"


@dataclass
class Bare:
    """Machines by name, and the inventory that describes them."""

    folder: Path
    rack: Rack
    machines: dict[str, Machine] = field(default_factory=dict)

    def dojo(self, *words: str) -> subprocess.CompletedProcess[str]:
        return Fleet(self.folder / "inventories" / "production.yml").invoke(*words, within=60)

    def state(self) -> dict[str, str]:
        return {name: machine.run(STATE) for name, machine in self.machines.items()}

    def faults(self) -> set[tuple[str, str]]:
        found = json.loads(self.dojo("check", "--json").stdout)["findings"]
        return {(one["fault"], one["host"]) for one in found if not one["note"]}

    def states(self, *words: str) -> dict[str, list[str]]:
        done = self.dojo("setup", "--user", "ops", "--json", *words)
        hosts: list[dict[str, Any]] = json.loads(done.stdout)
        return {host["host"]: [row["state"] for row in host["rows"]] for host in hosts}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    folder = tmp_path_factory.mktemp("bare")
    with contextlib.ExitStack() as stack:
        fleet = Bare(folder, _rack(folder))
        stack.callback(fleet.rack.end)
        _describe(fleet)
        for name, number in NUMBERS.items():
            fleet.machines[name] = Machine(fleet.rack, name, number, (folder / f"{name}.setup").read_text(), folder)
            stack.callback(fleet.machines[name].end)
        for name, machine in fleet.machines.items():
            until(machine.has_started, 60, f"{name}: {machine.said}")
            until(partial(_speaks_ssh, machine.address), 20, f"sshd of {name}")
        yield fleet


def test_bare_hosts_are_made_ready_once(bare: Bare) -> None:
    limit = ("--limit", "web1,lb1")
    assert {("login", "web1"), ("login", "lb1")} <= bare.faults()

    before = bare.state()
    dry = bare.dojo("setup", "--user", "ops", "--dry-run", *limit)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"/usr/sbin/useradd --create-home --shell /bin/bash --password '*' {USER}" in dry.stdout
    assert f"echo '{USER} ALL=(root) NOPASSWD: {RIGHTS}'" in dry.stdout and "nothing was" in dry.stdout
    assert bare.state() == before

    done = bare.dojo("setup", "--user", "ops", *limit)
    assert done.returncode == 0, done.stdout + done.stderr
    web1, lb1 = bare.machines["web1"], bare.machines["lb1"]
    assert web1.run("stat -c '%U %a' /srv/shop").split() == [USER, "755"]
    assert "ExecStart=/mnt/bin/pm2 resurrect" in web1.run(f"cat /etc/systemd/system/pm2-{USER}.service")
    assert f"PM2_HOME=/home/{USER}/.pm2" in web1.run(f"cat /etc/systemd/system/pm2-{USER}.service")
    web1.run(f"test -e /etc/systemd/system/multi-user.target.wants/pm2-{USER}.service")
    # Nobody listens there for a moment after a reload.
    until(lambda: "503" in lb1.run(f"{ASKED} || :"), what="the site's own server")

    after = bare.state()
    again = bare.dojo("setup", "--user", "ops", *limit)
    assert (again.returncode, "nothing to do: all of it is there" in again.stdout) == (0, True), again.stdout
    assert bare.state() == after
    assert {host for _, host in bare.faults()} == {"asks"}


def test_the_deploy_user_may_do_that_and_no_more(bare: Bare) -> None:
    bare.states()
    lb1 = bare.machines["lb1"]
    assert lb1.run("stat -c '%U %a' /etc/sudoers.d/dojo-shop-production-nginx").split() == ["root", "440"]
    lb1.run("sudo -n nginx -T >/dev/null && sudo -n nginx -s reload", user=USER)
    for line in ("sudo -n nginx -s stop", "sudo -n nginx -c /tmp/x", "sudo -n id", "sudo -n -u www-data id"):
        assert lb1.run(f"{line} >/dev/null 2>&1 || echo refused", user=USER).strip() == "refused", line


def test_a_key_is_added_on_a_line_of_its_own_and_by_no_link(bare: Bare) -> None:
    bare.states()
    web1, file = bare.machines["web1"], f"/home/{USER}/.ssh/authorized_keys"
    ours = web1.run(f"cat {file}")
    web1.run(f"printf 'ssh-ed25519 AAAA theirs' >{file}", user=USER)
    assert bare.states("--limit", "web1")["web1"].count("done") == 1
    assert web1.run(f"cat {file}") == f"ssh-ed25519 AAAA theirs\n{ours}"
    assert web1.run(f"stat -c '%U %a' {file}").split() == [USER, "600"]
    web1.run(f"rm {file}; ln -s /etc/motd-of-root {file}", user=USER)
    assert "failed" in bare.states("--limit", "web1")["web1"]
    web1.run(f"test ! -e /etc/motd-of-root; rm {file}")
    assert bare.states("--limit", "web1")["web1"].count("done") == 1


def test_an_administrator_who_is_asked_for_a_password_changes_nothing(bare: Bare) -> None:
    before = bare.machines["asks"].run(STATE)
    refused = bare.dojo("setup", "--user", "ops", "--limit", "asks")

    assert refused.returncode == 10, refused.stdout
    assert "ops cannot become root: sudo: a password is required" in refused.stdout
    assert bare.machines["asks"].run(STATE) == before


def test_the_site_that_was_set_up_is_switched_and_closed_without_more(bare: Bare) -> None:
    bare.states()
    web1, lb1 = bare.machines["web1"], bare.machines["lb1"]
    web1.run(
        """/mnt/bin/node -e 'require("http").createServer((_, r) => r.end("shop")).listen(3000)' >/dev/null 2>&1 &"""
    )
    until(lambda: web1.run("curl -s http://127.0.0.1:3000/ || :") == "shop", what="the application")
    site = load_inventory(bare.folder / "inventories" / "production.yml")
    with opened(site) as session:
        site.balancer.restore(session, site.backends(BLUE)[0], ())
        assert lb1.run(ASKED) == "shop 200"
        site.balancer.close(session, Page("Back soon.\n"))
        assert lb1.run(ASKED) == "Back soon.\n 503"
        site.balancer.open(session)
        assert lb1.run(ASKED) == "shop 200"


def test_what_a_host_does_not_take_is_told_and_leaves_it_as_it_serves(bare: Bare) -> None:
    lb1 = bare.machines["lb1"]
    bare.states()
    lb1.run("rm /etc/nginx/conf.d/dojo-shop-production.conf; echo 'nonsense;' >/etc/nginx/conf.d/theirs.conf")
    done = bare.dojo("setup", "--user", "ops", "--limit", "lb1")

    assert done.returncode == 30 and 'unknown directive "nonsense"' in done.stdout, done.stdout
    lb1.run("test ! -e /etc/nginx/conf.d/dojo-shop-production.conf; rm /etc/nginx/conf.d/theirs.conf")
    assert bare.states("--limit", "lb1")["lb1"][-1] == "done"


def test_a_site_that_is_served_already_goes_on_being_served(bare: Bare) -> None:
    lb1 = bare.machines["lb1"]
    bare.states()
    lb1.run("rm /etc/nginx/conf.d/dojo-shop-production.conf")
    lb1.run("echo 'server { listen 80; server_name _; return 200 theirs; }' >/etc/nginx/conf.d/theirs.conf")
    lb1.run("/usr/sbin/nginx -s reload")
    until(lambda: lb1.run(ASKED) == "theirs 200", what="their site")
    done = bare.dojo("setup", "--user", "ops", "--limit", "lb1")

    assert done.returncode == 30 and 'set $dojo_shop_production "";' in done.stdout, done.stdout
    lb1.run("test ! -e /etc/nginx/conf.d/dojo-shop-production.conf; /usr/sbin/nginx -t -q")
    assert lb1.run(ASKED) == "theirs 200"
    own = "include dojo/shop-production/server/*.conf;"
    lb1.run(f"echo 'server {{ listen 80; {own} return 200 theirs; }}' >/etc/nginx/conf.d/theirs.conf")
    assert set(bare.states("--limit", "lb1")["lb1"]) == {"there"}
    lb1.run("rm /etc/nginx/conf.d/theirs.conf")


def test_units_of_a_user_need_its_linger_and_units_of_the_system_need_sudo() -> None:
    host = Host("web1", (), "10.0.0.1", "/srv/shop")
    (linger,) = Systemd().preparations(host, "shop-production", {})
    assert linger.lines == ("/usr/bin/loginctl enable-linger deploy",)
    (right,) = Systemd(units="system").preparations(host, "shop-production", {"systemctl": "/bin/systemctl"})
    assert "echo 'deploy ALL=(root) NOPASSWD: /bin/systemctl'" in right.lines[0]


def _rack(folder: Path) -> Rack:
    for number in range(1, 250):
        with contextlib.suppress(TakenError):
            return Rack(folder / "rack.log", number, dict.fromkeys(NUMBERS, 512))
    raise AssertionError("every network is taken")


def _describe(fleet: Bare) -> None:
    folder, network = fleet.folder, fleet.rack.network
    layout = Layout(folder / "tools")
    layout.create()
    toolchain.install(layout)
    (folder / "host_keys").mkdir()
    admin, known = make_key(folder / "id"), []
    for name, number in NUMBERS.items():
        known.append(f"{network}.{number} {make_key(folder / 'host_keys' / name)}\n")
        (folder / "host_keys" / name).chmod(0o600)
        base = BASE.format(
            node=toolchain.node(),
            pm2=toolchain.pm2(layout),
            names=f"'127.0.0.1 {name}'",
            public=admin,
            sshd=SSHD.format(more=""),
            folder=folder,
            name=name,
        )
        more = OWN + ADMIN + ("" if name == "asks" else MAY)
        if name == "lb1":
            more += LB.format(conf=NGINX.format(site="    include /etc/nginx/conf.d/*.conf;\n"))
        (folder / f"{name}.setup").write_text(base + more)
    (folder / "known_hosts").write_text("".join(known))
    hosts = {
        group: [{"name": name, "address": f"{network}.{NUMBERS[name]}"}]
        for group, name in (("web", "web1"), ("lb", "lb1"), ("more", "asks"))
    }
    web = {"script": "server.js", "instances": 2, "port": 3000}
    document = {
        "app": {"name": "shop", "root": "/srv/shop", "processes": {"kind": "pm2", "web": web}},
        "hosts": hosts,
        "balancer": {"kind": "nginx", "hosts": "lb", "nginx": "sudo -n nginx"},
        "url": "http://shop.example.org",
        "ssh": {"user": USER, "key": str(folder / "id"), "known_hosts": str(folder / "known_hosts")},
    }
    (folder / "inventories").mkdir()
    (folder / "inventories" / "production.yml").write_text(json.dumps(document, indent=1))
