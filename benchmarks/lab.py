"""The rig's hosts as an inventory of ours, and one deployment to them as a command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One deployment: wall seconds of the whole command, and the controller's peak memory in MiB."""

    seconds: float
    memory: float
    cpu: float


def _installed() -> dict[str, str]:
    """As the peers run, compiled when they were installed; a checkout compiles itself on its first run."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Lab:
    """The rig's folder: keys, artifact and the hosts' roots. `port`: 2200, or 2300 for the delayed ones."""

    rig: Path
    folder: Path
    port: int = 2200

    def peer(self, name: str, hosts: int) -> float:
        """Wall seconds of one peer's own run."""
        env = {**os.environ, "LAB": str(self.folder), "PORT": str(self.port)}
        done = subprocess.run(
            ["bash", str(self.rig), "run", name, str(hosts)], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr or done.stdout}")
        return float(done.stdout.rsplit(" in ", 1)[1].split()[0])

    def deploy(self, hosts: int, *, lanes: int) -> Run:
        """Wall seconds of our whole command onto bare hosts: lock, observe, journal, gate, census and all."""
        shutil.rmtree(self.folder / "hosts", ignore_errors=True)
        (self.folder / "hosts").mkdir()
        shutil.chown(self.folder / "hosts", "deploy")
        inventory = self._inventory(hosts, lanes)
        dojo = Path(sys.executable).with_name("dojo")
        words = [str(dojo), "deploy", "-i", str(inventory), "--artifact", str(self.folder / "app.tgz"), "--json"]
        log = self.folder / "dojo.log"
        with log.open("w") as out:
            started = time.monotonic()
            process = subprocess.Popen(words, stdout=out, stderr=out, cwd=inventory.parent, env=_installed())
            # wait4 gives this child's own peak; getrusage would give the highest of all children so far.
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        served = sum(1 for _ in self.folder.glob("hosts/*/slots/blue/current/REVISION"))
        if process.returncode or served != hosts:
            raise SystemExit(f"{served} of {hosts} hosts, exit {process.returncode}\n{log.read_text()[-2000:]}")
        return Run(seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)

    def _inventory(self, hosts: int, lanes: int) -> Path:
        folder = self.folder / "dojo"
        folder.mkdir(exist_ok=True)
        addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(hosts)]
        key = " ".join((self.folder / "hostkey.pub").read_text().split()[:2])
        known = folder / "known_hosts"
        known.write_text("".join(f"[{address}]:{self.port} {key}\n" for address in addresses))
        entries = [
            {"name": f"h{number}", "address": address, "root": str(self.folder / "hosts" / address)}
            for number, address in enumerate(addresses, 1)
        ]
        document = {
            "app": {
                "name": "peer",
                "root": "/srv/peer",
                "shared": ["logs/", "config/"],
                "processes": {"kind": "command", "app": {"start": 'touch "$CURRENT/../restart"'}},
            },
            "hosts": {"web": entries},
            "balancer": "none",
            "store": "host",
            "ssh": {
                "user": "deploy",
                "port": self.port,
                "key": str(self.folder / "id"),
                "known_hosts": str(known),
                "lanes": lanes,
            },
            "probes": {"check": {"kind": "command", "run": 'test -f "$CURRENT/REVISION"'}},
            "strategies": {
                "rolling": {
                    "batches": ["100%"],
                    "prove": "off",
                    "stage": "with-batch",
                    "bake": {"first": 0},
                    "gate": {"probes": ["check"], "in_a_row": 1, "grace": 0, "every": "100ms", "within": "60s"},
                }
            },
        }
        path = folder / "bench.yml"
        path.write_text(json.dumps(document, indent=1))
        return path
