"""Which lines of known_hosts count, compared with what ssh-keygen finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Ssh
from dojo_deploy.transports.bastions import bastion
from dojo_deploy.transports.keys import public_lines
from dojo_deploy.transports.known_hosts import KnownHosts
from tests.sshd import make_key

CASES = [
    ("web1", "web1", 22, True),
    ("web1", "web1", 2222, False),
    ("[web1]:2222", "web1", 2222, True),
    ("[web1]:2222", "web1", 22, False),
    ("a,web1,b", "web1", 22, True),
    ("*.example.org", "web1.example.org", 22, True),
    ("*.example.org,!web1.example.org", "web1.example.org", 22, False),
    ("web?", "web1", 22, True),
    ("web[12]", "web1", 22, False),
    ("10.0.0.1", "10.0.0.1", 22, True),
    ("WEB1", "web1", 22, True),
]


@pytest.fixture
def key(tmp_path: Path) -> str:
    return make_key(tmp_path / "key")


@pytest.mark.parametrize(("names", "address", "port", "counts"), CASES)
def test_names_match_as_in_openssh(names: str, address: str, port: int, counts: bool, key: str, tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text(f"# comment\n\n{names} {key} comment\n")
    assert KnownHosts(str(path)).vouch(address, port) == ((tuple(key.split()),) if counts else ())
    if shutil.which("ssh-keygen"):
        name = address if port == 22 else f"[{address}]:{port}"
        found = subprocess.run(["ssh-keygen", "-F", name, "-f", path], capture_output=True, check=False)
        assert (found.returncode == 0) == counts


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")
def test_hashed_names_are_found(key: str, tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text(f"[web1]:2222 {key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "web1" not in path.read_text()
    known = KnownHosts(str(path))
    assert known.vouch("web1", 2222) and not known.vouch("web2", 2222)


def test_a_revoked_key_vouches_for_nothing(key: str, tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text(f"web1 {key}\n@revoked * {key}\n@cert-authority * {key}\n|1|broken\n")
    assert KnownHosts(str(path)).vouch("web1", 22) == ()


def test_a_missing_file_knows_nobody_and_a_folder_is_an_error(tmp_path: Path) -> None:
    assert KnownHosts(str(tmp_path / "none")).vouch("web1", 22) == ()
    with pytest.raises(ConfigError):
        KnownHosts(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "user", "address", "port"),
    [
        ("ops@jump", "ops", "jump", 22),
        ("ops@jump:2222", "ops", "jump", 2222),
        ("jump", "deploy", "jump", 22),
        ("ops@[::1]:22022", "ops", "::1", 22022),
        ("ops@::1", "ops", "::1", 22),
    ],
)
def test_bastions_are_read(text: str, user: str, address: str, port: int) -> None:
    host = bastion(Ssh(gateway=text))
    assert (host.ssh.user, host.address, host.ssh.port, host.ssh.gateway) == (user, address, port, "")


def test_a_bastion_with_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="bastion"):
        bastion(Ssh(gateway="ops@jump:ssh"))


def test_half_a_line_vouches_for_nothing_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("@revoked\n@cert-authority\nweb1\n\n# web1\nweb1 ssh-ed25519 AAAA\n")
    assert KnownHosts(str(path)).vouch("web1", 22) == (("ssh-ed25519", "AAAA"),)


@pytest.mark.parametrize("held", [b"", b"one-word", b"ssh-ed25519 AAAA \xff\xfe"])
def test_what_is_no_public_key_is_told_with_its_path(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "id.pub").write_bytes(held)
    with pytest.raises(ConfigError, match=r"id\.pub is no public key"):
        public_lines(Ssh(key=str(tmp_path / "id")))
