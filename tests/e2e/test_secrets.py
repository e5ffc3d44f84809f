"""Secrets stay where they belong, whether a deployment succeeds or fails; strangers' host keys are refused."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.sandbox.inventory import home
from dojo_deploy.session import opened
from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import serves, variant

CORE = "c4n4ry"  # part of every canary
CANARIES = {kind: f'{kind}\'s "{CORE}-{kind}" $HOME' for kind in ("variable", "file", "command")}
SETS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
HASTE = ["--set", "gate.within=4s", "--set", "gate.grace=500ms", "--set", "prove=off"]


@pytest.mark.parametrize(
    ("ref", "sets", "code"), [("v2", SETS, 0), pytest.param("v3", [*SETS, *HASTE], 20, marks=pytest.mark.soak)]
)
def test_a_secret_is_nowhere_but_in_its_release(
    site: Fleet, tmp_path: Path, ref: str, sets: list[str], code: int
) -> None:
    secrets, own = tmp_path / "secrets", tmp_path / "ours"
    mine = variant(site, own / "inventories" / "sandbox.yml", lambda document: keep_secrets(document, secrets, site))
    environ = {**os.environ, "THE_CANARY": CANARIES["variable"]}

    with command_lines() as seen:
        done = subprocess.run(
            [program(), "deploy", "--ref", ref, "--verbose", *sets, "-i", str(mine.inventory)],
            cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200,
        )  # fmt: skip

    assert done.returncode == code, done.stdout + done.stderr
    assert CORE not in done.stdout + done.stderr
    assert len(seen) > 20 and not [line for line in seen if CORE in line]
    assert not files_with(CORE, own), "journal, reports, artifacts of the controller"
    assert not [key for key, data in stored(site) if CORE.encode() in data]
    held = files_with(CORE, home(site.inventory, {}) / "hosts")
    assert held, "the application got its secrets"
    for path in map(Path, held):
        assert path.parent.name == ".dojo" and path.parent.parent.parent.name == "releases", path
        assert path.name in ("env.sh", "env.json")
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700), path
    for verb in ("status", "releases", "history"):
        told = mine_says(mine, environ, verb, "--json")
        assert CORE not in told
    assert CORE not in mine_says(mine, environ, "report", "--out", "-")
    site.reset("v1")
    serves(site, site.release("v1"))


def keep_secrets(document: dict[str, Any], folder: Path, site: Fleet) -> None:
    folder.mkdir(mode=0o700)
    own = site.site.app.env_file
    assert own
    (folder / "app.env").write_text(f"{own.reveal()}\nFROM_FILE={CANARIES['file']}\n")
    (folder / "told").write_text(CANARIES["command"])
    document["app"]["env_file"] = {"file": str(folder / "app.env")}
    document["app"]["env"] |= {"FROM_ENV": {"env": "THE_CANARY"}, "FROM_CMD": {"cmd": f"cat {folder / 'told'}"}}


def mine_says(fleet: Fleet, environ: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(
        [program(), *words, "-i", str(fleet.inventory)],
        env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.stdout + done.stderr


def files_with(text: str, folder: Path) -> list[str]:
    done = subprocess.run(
        ["grep", "-rlF", "-e", text, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode < 2, done.stderr
    return done.stdout.splitlines()


def stored(site: Fleet) -> Iterator[tuple[str, bytes]]:
    """Every object of the store, artifacts unpacked."""
    with opened(site.site) as session:
        for key in session.store.list(""):
            found = session.store.get(key)
            data = found.data if found else b""
            yield key, gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Every command line that was ever in the process list meanwhile, looked at every 10 ms."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        settled: dict[str, int] = {}
        while not over.wait(0.01):
            pids = [one.name for one in Path("/proc").iterdir() if one.name.isdigit() and settled.get(one.name, 0) < 20]
            for pid in pids:
                settled[pid] = settled.get(pid, 0) + 1
                try:
                    seen.add(Path("/proc", pid, "cmdline").read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def program() -> str:
    return str(Path(sys.executable).with_name("dojo"))


@pytest.mark.parametrize("fault", ["unknown", "changed"])
def test_a_stranger_s_host_key_is_refused_before_authentication(site: Fleet, tmp_path: Path, fault: str) -> None:
    web1, web2 = (site.site.hosts[name].ssh.port for name in ("web1", "web2"))
    lines = Path(site.site.hosts["web1"].ssh.known_hosts).read_text().splitlines()
    own = next(line for line in lines if f":{web1} " in line)
    other = next(line for line in lines if f":{web2} " in line).split(" ", 1)[1]
    kept = [line for line in lines if line != own]
    hosts = tmp_path / "known_hosts"
    hosts.write_text("\n".join(kept + ([f"{own.split(' ', 1)[0]} {other}"] if fault == "changed" else [])) + "\n")

    def doubting(document: dict[str, Any]) -> None:
        document["ssh"]["known_hosts"] = str(hosts)

    doubtful = variant(site, tmp_path / "inventories" / "sandbox.yml", doubting)

    refused = doubtful.invoke("deploy", "--ref", "v2")

    assert refused.returncode == 10, refused.stdout + refused.stderr
    assert "web1" in refused.stderr and fault in refused.stderr and f">> {hosts}" in refused.stderr
    assert ("ssh-keygen -R" in refused.stderr) == (fault == "changed")
    serves(site, site.release("v1"))
