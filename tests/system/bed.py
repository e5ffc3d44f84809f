"""The test bed: three web hosts, a balancer and a database host, each a machine of its own on one switch."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dojo_deploy import app
from dojo_deploy.inventory import BLUE
from dojo_deploy.sandbox import repository, toolchain
from dojo_deploy.sandbox.layout import Layout, cache
from tests.e2e.fleet import Fleet
from tests.sshd import make_key, until
from tests.system import faults
from tests.system.machine import Machine, Rack, TakenError
from tests.system.setup import SCOPE, USER, Parts, script

WEB = ("web1", "web2", "web3")
ROLES = {**dict.fromkeys(WEB, "web"), "lb1": "lb", "db1": "db"}
NUMBERS = {"web1": 11, "web2": 12, "web3": 13, "lb1": 21, "db1": 31}
DISKS = {"web1": 192, "web2": 192, "web3": 192, "lb1": 16, "db1": 256}  # MiB
PORTS = {"blue": 3000, "green": 3001, "proof": 3002}
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
ASK_WITHIN = 10.0
REFS = ("v1", "v2")
ANEW = {"batches": '["100%"]', "prove": "off"}


@dataclass
class Bed:
    """Machines by name, and the inventory that describes them."""

    folder: Path
    rack: Rack
    parts: Parts
    machines: dict[str, Machine] = field(default_factory=dict)
    live: str = BLUE  # the colour that serves, as `settle` found it

    @property
    def fleet(self) -> Fleet:
        return Fleet(self.folder / "inventories" / "bed.yml")

    @property
    def url(self) -> str:
        return f"http://{self.rack.network}.{NUMBERS['lb1']}"

    def power_on(self, *names: str) -> None:
        """Starts hosts, all at once; their disks are as they were."""
        for name in names:
            text = script(self.parts, name, ROLES[name])
            self.machines[name] = Machine(self.rack, name, NUMBERS[name], text, self.folder)
        for name in names:
            machine = self.machines[name]
            until(machine.has_started, 60, f"{name}: {machine.said}")
            until(partial(_speaks_ssh, machine.address), 20, f"sshd of {name}")

    def power_off(self, name: str) -> None:
        self.machines.pop(name).end()

    def fill(self, name: str, *, but: int = 0) -> None:
        """Takes all room on a host's disk but so many KiB."""
        free = f"$(($(df -k --output=avail /srv | tail -n 1) - {but}))"
        self.machines[name].run(f"fallocate -l {free}KiB /srv/ballast")

    def set_clock(self, name: str, offset: str) -> None:
        """From now everything that comes over SSH has a clock that is wrong by `offset`, like `+1h`."""
        fake = f"LD_PRELOAD={FAKETIME} FAKETIME={offset} DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
        host = self.machines[name]
        again = ". /mnt/end_sshd.sh; /usr/sbin/sshd -E /var/log/sshd.log"
        host.run(f"sed -i 's|^SetEnv .*|& {fake}|' /etc/ssh/sshd_config; {again}")
        until(partial(_speaks_ssh, host.address), 20, f"sshd of {name}")

    def heal(self) -> None:
        """Every host runs, is plugged in, thawed, has room on its disk and a clock that is right."""
        self.rack.controller(up=True)
        self.power_on(*(name for name in ROLES if name not in self.machines))
        for machine in self.machines.values():
            machine.plug_in()
            machine.thaw()
            machine.run("sh -e /mnt/heal.sh")

    def settle(self) -> str:
        """One of v1 and v2 on every host, serving, and no run open. Which of them it is: what was there, if it was."""
        if (holder := app.holder(self.fleet.inventory)) and holder.open:
            app.abort(self.fleet.inventory)
        if self.fleet.census().standby:
            assert app.retire(self.fleet.inventory, now=True).exit_code == 0
        for ref in REFS:
            if self.troubles(ref) == []:
                return ref
        result = self.fleet.deploy(REFS[0], overrides=ANEW)
        assert result.verdict == "done" and self.troubles(REFS[0]) == [], f"{result.reason} {self.troubles(REFS[0])}"
        return REFS[0]

    def serving(self) -> str:
        """Which of v1 and v2 all hosts have; `settle` comes first."""
        return next(ref for ref in REFS if set(self.answers().values()) == {self.fleet.release(ref)})

    def troubles(self, ref: str) -> list[str]:
        """What is wrong with a bed that should serve `ref` from every host, with no run open; empty: nothing is."""
        release = self.fleet.release(ref)
        if not release:
            return [f"{ref} was never deployed"]
        census = self.fleet.census()
        self.live = census.live
        found = [f"{name} answers {what}" for name, what in self.answers().items() if what != release]
        through = self.through()
        found += [] if set(through) == {release} else [f"through the balancer: {dict(through)}"]
        found += [f"{name}: {row}" for name, row in census.rows.items() if row["current"] != release]
        found += [] if census.verdict == "consistent" else [f"census {census.verdict}: {dict(census.rows)}"]
        holder = app.holder(self.fleet.inventory)
        found += [f"lock: {holder}"] if holder is None or holder.open or holder.state != "released" else []
        for name in WEB:
            left = self.machines[name].run(
                "cd /srv/tcgdojo; grep -L closed .dojo/fence || :; ls -d releases/*.partial* || :"
            )
            found += [f"{name}: left {left}"] if left else []
        return found

    def answer(self, name: str, *, slot: str = "") -> str:
        """The release that a host's application answers with, asked on the host itself; or why there is none."""
        return self.machines[name].dialled(partial(_release, "127.0.0.1", PORTS[slot or self.live]))

    def answers(self, *, slot: str = "") -> dict[str, str]:
        """The same of every web host that has power, in the live colour if in no other."""
        return {name: self.answer(name, slot=slot) for name in WEB if name in self.machines}

    def counted(self) -> dict[str, int]:
        """How often the step of `story.counting` ran on each host since it was asked last."""
        file = "/srv/tcgdojo/counted"
        line = f"touch {file}; wc -l <{file}; rm {file}"
        return {name: int(self.machines[name].run(line)) for name in WEB}

    def through(self, requests: int = 20) -> Counter[str]:
        """Which releases answer through the balancer, over a fresh connection each."""
        return Counter(_release(f"{self.rack.network}.{NUMBERS['lb1']}", 80) for _ in range(requests))


@contextlib.contextmanager
def made(folder: Path) -> Iterator[Bed]:
    """A bed with nothing deployed; it ends with the block, and with this process."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "host_keys").mkdir()
    rack = _rack(folder)
    try:
        bed = Bed(folder, rack, _parts(folder, rack.network))
        (folder / "inventories").mkdir()
        (folder / "inventories" / "bed.yml").write_text(json.dumps(_document(bed), indent=1))
        try:
            bed.power_on(*ROLES)
            yield bed
        finally:
            for machine in bed.machines.values():
                machine.end()
    finally:
        rack.end()


def _rack(folder: Path) -> Rack:
    for number in range(1, 250):
        with contextlib.suppress(TakenError):
            return Rack(folder / "rack.log", number, DISKS)
    raise AssertionError("every network is taken")


def _parts(folder: Path, network: str) -> Parts:
    layout = Layout(folder / "tools")
    layout.create()
    toolchain.install(layout)
    repository.make(folder / "repository", "tcgdojo")
    faults.add(folder / "repository")
    lines = []
    for name, number in NUMBERS.items():
        lines.append(f"{network}.{number} {make_key(folder / 'host_keys' / name)}")
        (folder / "host_keys" / name).chmod(0o600)
    (folder / "known_hosts").write_text("\n".join(lines) + "\n")
    password = secrets.token_hex(8)
    place = f"{network}.{NUMBERS['db1']}"
    env = folder / "app.env"
    env.touch(0o600)
    env.write_text(
        f"DATABASE_URL=postgresql://dojo:{password}@{place}:5432/postgres\nREDIS_URL=redis://{place}:6379/0\n"
    )
    return Parts(
        folder=str(folder),
        node=str(toolchain.node()),
        pm2=str(toolchain.pm2(layout)),
        public=make_key(folder / "id"),
        password=password,
        postgres=str(max(Path("/usr/lib/postgresql").glob("*/bin"))),
        addresses=tuple((name, f"{network}.{number}") for name, number in NUMBERS.items()),
    )


def _document(bed: Bed) -> dict[str, Any]:
    folder, network = bed.folder, bed.rack.network
    gate = {
        "probes": ["release", "health", "database"],
        "every": "100ms",
        "grace": "3s",
        "within": "20s",
        "in_a_row": 2,
    }
    hosts: dict[str, list[dict[str, Any]]] = {"web": [], "lb": [], "db": []}
    for name, number in NUMBERS.items():
        hosts[ROLES[name]].append({"name": name, "address": f"{network}.{number}"})
    return {
        "app": {
            "name": SCOPE.split("-")[0],
            "root": "/srv/tcgdojo",
            "source": {"repository": str(folder / "repository")},
            "build": {
                "run": ["npm ci --no-audit --no-fund", "npm run build"],
                "env": {
                    "PATH": f"{folder / 'tools/tools/bin'}:/usr/bin:/bin",
                    "npm_config_cache": str(cache() / "npm"),
                    "npm_config_prefer_offline": "true",
                },
            },
            "shared": ["logs/"],
            "env": {"NODE_ENV": "production", "BIND": "0.0.0.0"},
            "env_file": {"file": str(folder / "app.env")},
            "processes": {
                "kind": "pm2",
                "web": {"script": "server.js", "instances": 1, "ports": PORTS},
                "worker": {"script": "worker.js", "instances": 1},
            },
            "keep": 3,
        },
        "hosts": hosts,
        "balancer": {"kind": "nginx", "hosts": "lb", "nginx": "sudo -n /usr/sbin/nginx"},
        "url": bed.url,
        "probes": {"database": {"kind": "http", "path": "/api/database/health"}},
        "store": {"kind": "host", "host": "db1"},
        "lock": {"ttl": "6s"},
        "ssh": {
            "user": USER,
            "key": str(folder / "id"),
            "known_hosts": str(folder / "known_hosts"),
            "connect_within": "3s",
            "dead_after": "3s",
            "reach_within": "4s",
        },
        "strategies": {
            "rolling": {
                "gate": gate,
                "bake": {"first": "0s"},
                "migrate": {"run": "npm run --silent migrate", "deadline": "60s"},
            },
            "blue-green": {
                "gate": gate,
                "watch": "1s",
                "settle": "10s",
                "migrate": {"run": "npm run --silent migrate", "deadline": "60s"},
            },
            "rollback": {"gate": gate, "settle": "10s"},
            "restart": {"gate": gate},
        },
    }


def _release(address: str, port: int) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=ASK_WITHIN)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read()
        return str(json.loads(body)["release"]) if answer.status == 200 else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as exc:
        return f"no answer: {type(exc).__name__}"
    except ValueError:
        return f"no release: {body[:60].decode('utf-8', 'replace')}"
    finally:
        connection.close()


def _speaks_ssh(address: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, 22), 1) as sock:
        sock.settimeout(1)
        return sock.recv(4) == b"SSH-"
    return False
