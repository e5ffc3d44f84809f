"""`check` on a fleet in which every host has something else wrong with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.sandbox import toolchain
from dojo_deploy.sandbox.layout import Layout
from tests.e2e.fleet import Fleet
from tests.sshd import make_key, until
from tests.system.bed import FAKETIME, Bed, _speaks_ssh
from tests.system.conftest import _lacks
from tests.system.machine import Machine, Rack, TakenError
from tests.system.setup import ADMIN, BASE, MAY, NGINX, OWN, SSHD, WELCOME

pytestmark = pytest.mark.skipif(bool(_lacks()), reason=_lacks())

WEB = ("nonode", "nvm", "full", "clock", "port", "env", "unknown", "changed", "fork", "gone")
LB = ("asks", "bare")
NUMBERS = {name: 41 + number for number, name in enumerate((*WEB, *LB))}
SCOPE = "shop-broken"
MARK = f"{SCOPE}@{hashlib.sha256(b'/srv/shop').hexdigest()[:8]}/blue/web/"

# Where the machine has a user of that name already.
BASH = "sed -i 's|^\\(deploy:.*:\\)/bin/sh$|\\1/bin/bash|' /etc/passwd\n"
ROOT = """\
mkdir -p /srv/shop/shared
touch /srv/shop/shared/.env
chown -R deploy: /srv/shop
"""
# The machine's own node is none of the host's.
NO_NODE = "mount --bind /dev/null /usr/bin/node\nmount --bind /dev/null /usr/bin/npm\n"
NVM = """\
bin=/home/deploy/.nvm/versions/node/v20.11.1/bin
mkdir -p $bin
ln -s /mnt/bin/node /mnt/bin/pm2 $bin/
cat >/home/deploy/.bashrc <<'END'
case $- in *i*) ;; *) return ;; esac
export PATH=$HOME/.nvm/versions/node/v20.11.1/bin:$PATH
END
chown -R deploy: /home/deploy
"""
STRANGER = """\
/mnt/bin/node -e "require('http').createServer().listen(3000)" </dev/null >/dev/null 2>&1 &
until grep -q ':0BB8 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done
"""
FORKED = f"""\
echo 'setInterval(() => {{}}, 1000)' >/srv/app.js
PATH=/mnt/bin:$PATH
runuser -u deploy -- env HOME=/home/deploy DOJO_PROCESS={MARK} pm2 start /srv/app.js --name web >/dev/null
"""
BALANCER = """\
mkdir -p /etc/nginx/dojo /etc/nginx/conf.d /var/log/nginx
chown deploy: /etc/nginx/dojo
cat >/etc/nginx/nginx.conf <<'END'
{conf}
END
/usr/sbin/nginx
"""
SITE = """\
include /etc/nginx/dojo/*.conf;
server { listen 80 default_server; include /etc/nginx/dojo/shop-broken/server/*.conf;
    location / { proxy_pass http://$dojo_shop_broken; proxy_set_header Host $host; } }
"""
CONF = "    include /etc/nginx/conf.d/*.conf;\n"
MORE = {
    "nonode": ROOT + NO_NODE,
    "nvm": ROOT + NO_NODE + NVM,
    "port": ROOT + STRANGER,
    "env": ROOT + "rm /srv/shop/shared/.env\n",
    "fork": ROOT + FORKED,
    "asks": BALANCER.format(conf=NGINX.format(site=CONF + WELCOME))
    + f"cat >/etc/nginx/conf.d/site.conf <<'END'\n{SITE.replace(' default_server', '')}END\n",
    "bare": BALANCER.format(conf=NGINX.format(site=CONF))
    + "echo 'deploy ALL=(root) NOPASSWD: /usr/sbin/nginx' >/etc/sudoers.d/dojo\n",
}
# What a look at a host must leave as it was: files with their times and sizes, folders, processes.
STATE = "find /srv /etc /home /mnt \\( -type d -printf '%p\\n' -o -printf '%p %T@ %s\\n' \\)"

EXPECTED = {
    ("no-program", "nonode", "there is no node"),
    ("not-on-path", "nvm", "node and pm2 are in /home/deploy/.nvm/versions/node/v20.11.1/bin"),
    ("disk-full", "full", " MiB are free"),
    ("clock", "clock", "its clock is 60 minutes ahead"),
    ("port-taken", "port", "port 3000, of web in blue, is taken by a process of root"),
    ("shared-file", "env", "the shared file .env is missing"),
    ("host-key", "unknown", "unknown host key"),
    ("host-key", "changed", "changed host key"),
    ("fork-mode", "fork", "PM2 runs shop-broken-blue-web in fork mode"),
    ("unreachable", "gone", "no connection"),
    ("sudo-asks", "asks", "a password is required"),
    ("nginx-include", "bare", "nginx does not say `include /etc/nginx/dojo/*.conf;` in `http`"),
    ("store-conditions", "controller", "ignores If-None-Match"),
}
ALSO = {("nginx-site", "bare")}


@dataclass
class Broken:
    """The fleet, by name; the store is a server that takes every write."""

    folder: Path
    rack: Rack
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventories" / "broken.yml"

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        return Fleet(self.inventory).invoke("check", *words, within=60)

    def findings(self) -> list[dict[str, Any]]:
        done = self.check("--json")
        assert done.returncode == 10, done.stdout + done.stderr
        return list(json.loads(done.stdout)["findings"])

    def state(self) -> dict[str, tuple[str, int]]:
        return {
            name: ("\n".join(sorted(machine.run(STATE).splitlines())), len(machine.pids()))
            for name, machine in self.machines.items()
        }


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    folder = tmp_path_factory.mktemp("broken")
    with contextlib.ExitStack() as stack:
        fleet = Broken(folder, _rack(folder))
        stack.callback(fleet.rack.end)
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Careless))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        _describe(fleet, f"http://127.0.0.1:{server.server_address[1]}")
        for name in [name for name in NUMBERS if name != "gone"]:
            machine = Machine(fleet.rack, name, NUMBERS[name], (folder / f"{name}.setup").read_text(), folder)
            fleet.machines[name] = machine
            stack.callback(machine.end)
        for name, machine in fleet.machines.items():
            until(machine.has_started, 60, f"{name}: {machine.said}")
            until(partial(_speaks_ssh, machine.address), 20, f"sshd of {name}")
        yield fleet


def test_each_fault_is_named_and_nothing_is_changed(broken: Broken) -> None:
    before = broken.state()
    found = broken.findings()

    assert {(one["fault"], one["host"]) for one in found if not one["note"]} == {row[:2] for row in EXPECTED} | ALSO
    for fault, host, text in EXPECTED:
        assert any(text in one["what"] for one in found if (one["fault"], one["host"]) == (fault, host)), (
            host,
            [one for one in found if one["host"] == host],
        )
    assert all(one["fix"] and "\n" not in one["fix"] for one in found)
    assert broken.state() == before


def test_it_is_told_with_one_line_to_paste_for_each(broken: Broken) -> None:
    done = broken.check()

    assert (done.returncode, done.stderr) == (10, "")
    for one in broken.findings():
        assert f"→ {one['fix']}\n" in done.stdout
    assert "15 faults; 12 hosts asked in " in done.stdout


def test_the_lines_mend_what_they_are_for(broken: Broken) -> None:
    mended = ("nvm", "env", "unknown", "changed", "asks", "bare")
    for one in [one for one in broken.findings() if one["host"] in mended and not one["note"]]:
        _paste(broken, one)

    left = {one["host"] for one in broken.findings() if not one["note"]}
    assert left == {"nonode", "full", "clock", "port", "fork", "gone", "controller"}


def test_a_fleet_that_serves_has_no_fault(bed: Bed) -> None:
    done = bed.fleet.invoke("check", within=60)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is wrong; 5 hosts asked in " in done.stdout
    print(done.stdout)


def _paste(broken: Broken, finding: dict[str, Any]) -> None:
    """The line, run where `ssh` would have run it, by whom it would have."""
    words = shlex.split(finding["fix"])
    if words[:2] == ["invoke", "setup"]:
        done = Fleet(broken.inventory).invoke(*(word.replace("ADMIN", "ops") for word in words[1:2] + words[4:]))
        assert done.returncode == 0, done.stdout + done.stderr
        return
    if words[0] == "invoke":
        name = finding["host"]
        if "changed" in finding["what"]:
            told = Fleet(broken.inventory).invoke("hosts.trust", "--limit", name).stdout
            forget = told.partition("set up anew: ")[2].partition(" && ")[0]
            subprocess.run(["sh", "-ec", forget], check=True, capture_output=True)
        shown = next(word for word in finding["what"].split() if word.startswith("SHA256:"))
        done = Fleet(broken.inventory).invoke(words[1], *words[4:], "--fingerprint", shown)
        assert done.returncode == 0, done.stdout + done.stderr
        return
    user = "" if "ADMIN@" in finding["fix"] else "deploy"
    text = words[words.index("<") - 1] if "<" in words else words[-1]
    broken.machines[finding["host"]].run(text, user=user)


class Careless(BaseHTTPRequestHandler):
    """As some servers do: 200 to every PUT."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(200)

    def do_DELETE(self) -> None:
        self._say(204)

    def do_GET(self) -> None:
        self._say(404)

    def _say(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("ETag", '"e"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def _rack(folder: Path) -> Rack:
    disks = {name: 7 if name == "full" else 1024 for name in NUMBERS}
    for number in range(1, 250):
        with contextlib.suppress(TakenError):
            return Rack(folder / "rack.log", number, disks)
    raise AssertionError("every network is taken")


def _describe(fleet: Broken, endpoint: str) -> None:
    """The inventory, known_hosts, and the script that makes each host."""
    folder, network = fleet.folder, fleet.rack.network
    layout = Layout(folder / "tools")
    layout.create()
    toolchain.install(layout)
    (folder / "host_keys").mkdir()
    public, known = make_key(folder / "id"), []
    for name, number in NUMBERS.items():
        shown = make_key(folder / "host_keys" / name)
        (folder / "host_keys" / name).chmod(0o600)
        key = make_key(folder / "other") if name == "changed" else shown
        known += [f"{network}.{number} {key}\n"] if name != "unknown" else []
        path = "/usr/local/bin:/usr/bin:/bin" if name in ("nonode", "nvm") else "/mnt/bin:/usr/local/bin:/usr/bin:/bin"
        fake = f" LD_PRELOAD={FAKETIME} FAKETIME=+1h FAKETIME_DONT_FAKE_MONOTONIC=1" if name == "clock" else ""
        sshd = SSHD.format(more="").replace(
            "SetEnv PATH=/mnt/bin:/usr/local/bin:/usr/bin:/bin", f"SetEnv PATH={path}{fake}"
        )
        base = BASE.format(
            node=toolchain.node(),
            pm2=toolchain.pm2(layout),
            names="",
            public=public,
            sshd=sshd,
            folder=folder,
            name=name,
        )
        (folder / f"{name}.setup").write_text(base + OWN + BASH + ADMIN + MAY + MORE.get(name, ROOT))
    (folder / "known_hosts").write_text("".join(known))
    secret = {"env": "HOME"}  # any value will do
    hosts = {
        group: [{"name": name, "address": f"{network}.{NUMBERS[name]}"} for name in names]
        for group, names in (("web", WEB), ("lb", LB))
    }
    web = {"script": "server.js", "instances": 2, "ports": {"blue": 3000, "green": 3001, "proof": 3002}}
    document = {
        "app": {"name": "shop", "root": "/srv/shop", "shared": [".env"], "processes": {"kind": "pm2", "web": web}},
        "hosts": hosts,
        "balancer": {"kind": "nginx", "hosts": "lb", "nginx": "sudo -n /usr/sbin/nginx"},
        "store": {"kind": "s3", "bucket": "b", "endpoint": endpoint, "access_key": secret, "secret_key": secret},
        "ssh": {
            "user": "deploy",
            "key": str(folder / "id"),
            "known_hosts": str(folder / "known_hosts"),
            "connect_within": "4s",
        },
    }
    (folder / "inventories").mkdir()
    (folder / "inventories" / "broken.yml").write_text(json.dumps(document, indent=1))
    (folder / ".env").write_text("KEY=value\n")
