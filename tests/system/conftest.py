"""One bed of Debian's servers for all tests here, whole again before each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import bed as beds
from tests.system.bed import FAKETIME, Bed

SERVERS = ("sshd", "nginx", "redis-server", "sudo", "ip", "nsenter", "unshare", "setpriv")
TRIED = """set -e
ip link add try type veth peer name tried
mount -t tmpfs tried /mnt
mkdir /mnt/etc /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/work overlay /etc
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The bed as it was made; started once, and ended by the kernel if this process is killed."""
    lack = _lacks()
    if lack:
        pytest.skip(lack)
    with beds.made(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(made: Bed) -> Bed:
    """Every host well, one release of v1 and v2 on all of them, and nothing open."""
    made.heal()
    made.settle()
    return made


def _lacks() -> str:
    if os.geteuid():
        return "only root may mount what hosts of their own need"
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    lack = [name for name in SERVERS if not shutil.which(name, path=path)]
    lack += [] if any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) else ["postgresql"]
    lack += [] if FAKETIME.exists() else ["libfaketime"]
    if lack:
        return f"this machine has no {', '.join(lack)}"
    tried = subprocess.run(["unshare", "-n", "-m", "-p", "-f", "sh", "-c", TRIED], capture_output=True, text=True)
    return f"no right to mount in namespaces here: {tried.stderr.strip()}" if tried.returncode else ""
