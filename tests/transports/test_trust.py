"""`hosts.trust`: real servers, their keys as ssh-keygen prints them, a terminal that types y, and none."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sshd import Server, has_openssh, make_key, openssh

pytestmark = pytest.mark.skipif(not has_openssh(), reason="this machine has no sshd")
DOJO = str(Path(sys.executable).with_name("dojo"))


@dataclass
class Site:
    """An inventory of servers by name, and nobody known yet."""

    folder: Path

    @property
    def known(self) -> Path:
        return self.folder / "inventories" / "known_hosts"

    def describe(self, servers: dict[str, Server], gateway: str = "") -> None:
        (self.folder / "inventories").mkdir(exist_ok=True)
        ssh = next(iter(servers.values())).host.ssh
        document = {
            "app": {"name": "shop", "root": "/srv/shop", "processes": {"kind": "command"}},
            "hosts": {
                "web": [
                    {"name": name, "address": "127.0.0.1", "port": server.port, "root": f"/srv/{name}"}
                    for name, server in servers.items()
                ]
            },
            "ssh": {
                "user": ssh.user,
                "key": ssh.key,
                "connect_within": "5s",
                **({"gateway": gateway} if gateway else {}),
            },
        }
        (self.folder / "inventories" / "production.yml").write_text(json.dumps(document))

    def dojo(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run([DOJO, *words, *(() if "-i" in words else ("-i", "production"))])

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    def type(self, answer: str) -> tuple[int, str]:
        """The command at a terminal, and what is typed there."""
        ours, theirs = pty.openpty()
        words = [DOJO, "hosts.trust", "-i", "production"]
        with subprocess.Popen(words, cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            said = b""
            try:
                while data := os.read(ours, 4096):
                    said += data
                    if said.endswith(b"record them: "):
                        os.write(ours, f"{answer}\n".encode())
            except OSError:
                pass  # the other end is closed
            os.close(ours)
            process.wait(30)
        return process.returncode, said.decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With keys of two kinds."""
    folder = tmp_path_factory.mktemp("two")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", folder / "rsa"], check=True)
    with openssh(folder, f"HostKey {folder}/rsa") as found:
        yield found


def fingerprint(server: Server, key: str = "hostkey") -> str:
    private = server.folder / key
    private.chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-lf", private], capture_output=True, text=True, check=True).stdout
    return next(word for word in said.split() if word.startswith("SHA256:"))


def test_without_a_terminal_it_is_refused_with_the_line_that_ci_types(site: Site, server: Server) -> None:
    site.describe({"web1": server})
    refused = site.dojo("hosts.trust")

    assert refused.returncode == 10 and not site.known.exists()
    assert fingerprint(server) in refused.stdout and fingerprint(server, "rsa") in refused.stdout
    line = refused.stderr.partition("→ ")[2].strip()
    words = shlex.split(line, comments=True)
    assert words == ["invoke", "hosts.trust", "-i", "production", "--fingerprint", fingerprint(server)]
    assert line.endswith("# if the hosts' own consoles show the same")

    done = site.run([DOJO, *words[1:]])
    assert (done.returncode, done.stderr) == (0, "")
    assert site.known.read_text() == (server.folder / "known_hosts").read_text()
    assert site.known.stat().st_mode & 0o777 == 0o644
    again = site.dojo("hosts.trust")
    assert (again.returncode, again.stdout.split()[-1]) == (0, "known")


def test_another_fingerprint_records_nothing(site: Site, server: Server) -> None:
    site.describe({"web1": server})
    refused = site.dojo("hosts.trust", "--fingerprint", f"SHA256:{'A' * 43}")

    assert refused.returncode == 10 and "1 of 1 hosts are not trusted" in refused.stderr
    assert not site.known.exists()


def test_y_at_a_terminal_records_all_that_was_shown(site: Site, server: Server) -> None:
    site.describe({"web1": server})
    status, said = site.type("n")
    assert status == 10 and "Are they the same?" in said and not site.known.exists()

    site.known.write_text("# ours\nother ssh-ed25519 AAAA")
    site.known.chmod(0o600)
    status, said = site.type("y")
    assert status == 0 and "recorded: web1" in said, said
    first, second, *keys = site.known.read_text().splitlines()
    assert (first, second) == ("# ours", "other ssh-ed25519 AAAA")
    assert [line.split()[:2] for line in keys] == [
        [f"[127.0.0.1]:{server.port}", "ssh-ed25519"],
        [f"[127.0.0.1]:{server.port}", "ssh-rsa"],
    ]
    assert site.known.stat().st_mode & 0o777 == 0o600
    assert "1 host asked" in site.dojo("check").stdout


def test_a_changed_key_is_shown_beside_the_old_one_and_kept(site: Site, server: Server) -> None:
    site.describe({"web1": server})
    old = f"[127.0.0.1]:{server.port} {make_key(site.folder / 'old')}\n"
    site.known.write_text(old)
    own = subprocess.run(["ssh-keygen", "-lf", site.folder / "old"], capture_output=True, text=True).stdout.split()[1]
    status, said = site.type("y")

    assert status == 10 and "ANOTHER KEY" in said
    assert own in said and fingerprint(server) in said and "Type y" not in said
    assert site.known.read_text() == old
    refused = site.dojo("hosts.trust", "--fingerprint", fingerprint(server))
    assert refused.returncode == 10 and site.known.read_text() == old
    forget, then = refused.stdout.partition("set up anew: ")[2].strip().split(" && ")
    assert then == "invoke hosts.trust -i production --limit web1"
    subprocess.run(["sh", "-ec", forget], check=True, capture_output=True)
    assert site.dojo(*shlex.split(then)[1:], "--fingerprint", fingerprint(server)).returncode == 0


def test_a_revoked_key_is_never_recorded(site: Site, server: Server) -> None:
    site.describe({"web1": server})
    revoked = f"@revoked * {(server.folder / 'known_hosts').read_text().split(' ', 1)[1]}"
    site.known.write_text(revoked)
    refused = site.dojo("hosts.trust", "--fingerprint", fingerprint(server))

    assert refused.returncode == 10 and "REVOKED" in refused.stdout
    assert site.known.read_text() == revoked


def test_a_bastion_comes_first_and_then_who_is_behind_it(tmp_path: Path, site: Site, server: Server) -> None:
    with openssh(tmp_path / "bastion", "AllowTcpForwarding yes") as door:
        keys = door.folder / "authorized_keys"
        keys.write_text(keys.read_text() + (server.folder / "authorized_keys").read_text())
        gateway = f"{door.host.ssh.user}@127.0.0.1:{door.port}"
        site.describe({"web1": server}, gateway)
        refused = site.dojo("hosts.trust")
        assert refused.returncode == 10 and "unknown host key" in refused.stdout
        assert fingerprint(door) in refused.stdout and fingerprint(server) not in refused.stdout

        both = ["--fingerprint", fingerprint(door), "--fingerprint", fingerprint(server)]
        done = site.dojo("hosts.trust", *both)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line.split()[0] for line in site.known.read_text().splitlines()] == [
            f"[127.0.0.1]:{door.port}",
            f"[127.0.0.1]:{server.port}",
        ]


def test_a_host_that_is_away_hides_no_other(tmp_path: Path, site: Site, server: Server) -> None:
    with openssh(tmp_path / "gone") as gone:
        site.describe({"gone": gone, "web1": server})
    done = site.dojo("hosts.trust", "--json", "--fingerprint", fingerprint(server))
    rows: dict[str, Any] = {row["host"]: row for row in json.loads(done.stdout)}

    assert done.returncode == 10
    assert (rows["gone"]["standing"], rows["web1"]["standing"]) == ("away", "known")
    assert "refused" in rows["gone"]["trouble"].lower()
