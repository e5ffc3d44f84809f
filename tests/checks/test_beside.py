"""What stands beside the hosts, and the versions that package.json asks for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.checks import beside
from dojo_deploy.checks.versions import allows, installing
from dojo_deploy.inventory import App, Build, Host, Inventory
from dojo_deploy.readings import Finding
from dojo_deploy.session import opened
from dojo_deploy.stores.directory import Directory
from dojo_deploy.stores.host import PrimaryHost
from tests.sshd import Server

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="this machine has no npm")


@pytest.mark.parametrize(
    ("wanted", "yes", "no"),
    [
        (">=18", "v18.0.0 v20.1.2", "v17.9.9"),
        ("^20.1", "v20.1.0 v20.9.0", "v20.0.9 v21.0.0"),
        ("~20.1.3", "v20.1.3 v20.1.9", "v20.1.2 v20.2.0"),
        ("20.x", "v20.0.0", "v21.0.0"),
        ("20", "v20.18.1", "v22.0.0"),
        (">= 18 <22", "v18.0.0 v21.9.9", "v22.0.0 v17.0.0"),
        ("18 || 20 || >=22.1", "v18.2.0 v20.0.0 v22.1.0", "v19.0.0 v22.0.9"),
        ("18 - 20", "v18.0.0 v20.9.9", "v21.0.0"),
        ("^0.2.3", "0.2.9", "0.3.0"),
        ("> 18", "v19.0.0", "v18.9.9"),
        ("*", "v1.0.0", ""),
        ("lts/iron", "v1.0.0", ""),
    ],
)
def test_versions_are_weighed_as_npm_does(wanted: str, yes: str, no: str) -> None:
    assert [allows(wanted, version) for version in yes.split()] == [True] * len(yes.split())
    assert [allows(wanted, version) for version in no.split()] == [False] * len(no.split())


def site(host: Host, folder: Path, build: Build) -> Inventory:
    app = App("shop", root=host.root, environment="test", build=build)
    hosts = {"h1": replace(host, groups=("web",))}
    return Inventory(app, hosts, {"web": ("h1",)}, Directory(str(folder / "store")), NoBalancer())


def built(inventory: Inventory, engines: dict[str, str]) -> list[Finding]:
    with opened(inventory) as session:
        return list(beside.build(session, engines))


@needs_npm
@pytest.mark.parametrize("on", ["local", "h1"])
def test_a_build_lacks_programs_a_registry_and_a_version(sshd: Server, tmp_path: Path, on: str) -> None:
    env = {"npm_config_registry": "http://127.0.0.1:9/", "HOME": str(tmp_path)}
    found = built(site(sshd.host, tmp_path, Build(("npm ci", "nonesuch --all"), env=env, on=on)), {"node": ">=99"})
    where = "controller" if on == "local" else "h1"

    assert [(one.fault, one.host) for one in found] == [
        ("no-program", where),
        ("version", where),
        ("registry", where),
    ]
    assert "nonesuch" in found[0].what and ">=99" in found[1].what and "http://127.0.0.1:9/" in found[2].what
    assert found[0].fix.startswith("ssh -t ") is (on == "h1")


def test_a_build_that_needs_no_npm_asks_no_registry(sshd: Server, tmp_path: Path) -> None:
    assert built(site(sshd.host, tmp_path, Build(("tar --version",))), {"node": ">=99"}) == []


def test_a_store_is_left_as_it_was(sshd: Server, tmp_path: Path) -> None:
    inventory = site(sshd.host, tmp_path, Build())
    with opened(inventory) as session:
        assert list(beside.store(session)) == []
        assert session.store.list("") == ()
    root = tmp_path / "bare"
    bare = replace(inventory, store=PrimaryHost("h1", str(root)))
    with opened(bare) as session:
        assert list(beside.store(session)) == []
    assert not root.exists()


@pytest.mark.parametrize(
    ("wanted", "number"),
    [(">=18 <23", "18"), ("<23", "22"), ("^20.9.0", "20"), (">18", "19"), (">=18.17 || 16", "18"), ("*", "lts")],
)
def test_a_node_is_asked_for_by_a_number_that_its_installer_takes(wanted: str, number: str) -> None:
    assert installing(wanted) == f"sudo npm install --global n && sudo n {number}"
