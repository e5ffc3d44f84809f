"""What `setup` makes of a host's end, and of an nginx that serves already; as root of nothing but a folder."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy.balancers.nginx.balancer import Nginx
from dojo_deploy.balancers.nginx.prepare import preparations
from dojo_deploy.command import Command
from dojo_deploy.errors import LostError
from dojo_deploy.inventory import Host, Ssh
from dojo_deploy.readings import Completed, Preparation
from dojo_deploy.setup.run import Prepared, _run
from tests.balancers.local import LocalShell

ROOT = Host("lb1", (), "10.0.0.1", "/srv/shop", Ssh(user="root"))
OWN = "include dojo/shop-production/server/*.conf;"


class Cut(LocalShell):
    def run(self, command: Command, *, within: float, stdin: bytes = b"") -> Completed:
        super().run(command, within=within, stdin=stdin)
        raise LostError("no answer", host=self.host.name)


def server(folder: Path, config: str) -> Preparation:
    """The last preparation, for an nginx whose whole configuration is `config`."""
    (folder / "config").write_text(config)
    program = folder / "nginx"
    program.write_text(f"#!/bin/sh\n[ $1 != -T ] || cat {folder}/config\n")
    program.chmod(0o755)
    nginx = Nginx(nginx=str(program))
    return list(preparations(nginx, "deploy", "shop-production", "http://shop.example.org", {}))[-1]


@pytest.mark.parametrize(
    "listen",
    ["listen 80;", "listen 80 default_server;", "listen [::]:80;", "listen 10.0.0.1:80;", "listen [::];", ""],
)
def test_a_site_on_port_80_is_left_to_serve(tmp_path: Path, listen: str) -> None:
    one = server(tmp_path, f"http {{\n server {{\n {listen} location / {{ proxy_pass http://app; }}\n }}\n}}\n")
    done = subprocess.run(["/bin/sh", "-ec", one.lines[1]], capture_output=True, text=True)

    assert done.returncode == 1
    assert 'set $dojo_shop_production "";' in done.stdout and "proxy_set_header Host $host;" in done.stdout
    assert "include /etc/nginx/dojo/shop-production/server/*.conf;" in done.stdout


@pytest.mark.parametrize("listen", ["listen 8080;", "listen 127.0.0.1:8080;", "listen unix:/x;", "listen 443 ssl;"])
def test_another_port_is_no_reason_against_it(tmp_path: Path, listen: str) -> None:
    config = f"http {{\n # server {{ listen 80; }}\n server {{ {listen} }} upstream a {{ server b:80; }}\n}}\n"
    assert subprocess.run(["/bin/sh", "-ec", server(tmp_path, config).lines[1]]).returncode == 0


WELCOME = "listen 80 default_server; listen [::]:80 default_server; root /var/www/html; server_name _;"


@pytest.mark.parametrize(
    ("more", "status"), [("location / { try_files $uri =404; }", 0), ("location /api { proxy_pass http://app; }", 1)]
)
def test_the_page_of_a_fresh_nginx_is_nobodys_site(tmp_path: Path, more: str, status: int) -> None:
    config = f"http {{\n server {{\n {WELCOME} {more}\n }}\n server {{ listen 8080; }}\n}}\n"
    line = server(tmp_path, config).lines[1]
    assert subprocess.run(["/bin/sh", "-ec", line], capture_output=True).returncode == status


@pytest.mark.parametrize(
    ("config", "there"),
    [
        (f"server {{ {OWN} }}", True),
        (OWN.replace("dojo", '"/etc/nginx/dojo', 1).replace(";", '";'), True),
        (f"server {{\n # {OWN}\n}}", False),
        ("include dojo/*.conf;", False),
    ],
)
def test_an_include_is_there_when_nginx_reads_it(tmp_path: Path, config: str, there: bool) -> None:
    one = server(tmp_path, config)
    assert (subprocess.run(["/bin/sh", "-ec", one.there]).returncode == 0) is there


@pytest.mark.parametrize(("said", "status"), [('unknown "dojo_shop_production" variable', 0), ("unknown x", 1)])
def test_a_site_that_waits_for_its_first_deployment_is_let_be(tmp_path: Path, said: str, status: int) -> None:
    one = server(tmp_path, "")
    (tmp_path / "nginx").write_text(f"#!/bin/sh\necho '{said}' >&2; exit 1\n")
    line = next(line for line in one.lines if line.startswith("said=")).replace("/etc/nginx/", f"{tmp_path}/")
    assert subprocess.run(["/bin/sh", "-ec", line]).returncode == status
    assert subprocess.run(["/bin/sh", "-ec", one.lines[0]]).returncode == 1


def ended(*lines: str, shell: Any = LocalShell) -> Prepared:
    return _run(shell(ROOT), tuple(Preparation(line, "false", (line,)) for line in lines), dry=False)


def test_a_failure_that_says_nothing_is_one() -> None:
    assert ended("true") == Prepared("lb1", (Preparation("true", "false", ("true",)),), ("done",))
    failed = ended("true", "false", "true")
    assert (failed.states, failed.trouble) == (("done", "failed"), "ended 1 after 2 of 3 things")
    assert [state for state, _ in failed.rows] == ["done", "failed"]


def test_a_script_that_ends_half_way_is_told() -> None:
    half = ended("true", "kill -9 $(awk '{ print $4 }' /proc/$$/stat)", "true")
    assert half.states == ("done",) and half.trouble


def test_a_connection_lost_in_the_middle_is_no_refusal() -> None:
    lost = ended("true", shell=Cut)
    assert lost.unknown and "no answer" in lost.trouble and not replace(lost, unknown=False).rows
