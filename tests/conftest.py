"""A real SSH server for every test that needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.inventory import Host
from dojo_deploy.transports.shells import SshShell
from tests.sshd import Server, any_server

# Folders whose tests share servers that are started once per process.
COSTLY = ("e2e", "migrations", "sandbox", "stores", "system")
# Needs a privilege that a container may lack, and that no package gives.
MAY_SKIP = "mount"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Side by side, a file's tests share one process and its servers; so do all of a costly folder."""
    from xdist.scheduler import LoadScopeScheduling

    class ByServers(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            folder = path.split("/")[1]
            return "pair" if "/test_blue_green" in path and folder == "e2e" else folder if folder in COSTLY else path

    return ByServers(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With DOJO_REQUIRE_SYSTEM what a test would be skipped for the want of has to be there."""
    report = yield
    if os.environ.get("DOJO_REQUIRE_SYSTEM") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MAY_SKIP not in reason:
            report.outcome, report.longrepr = "failed", f"DOJO_REQUIRE_SYSTEM allows no skipping. {reason}"
    return report


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all: do not kill it, start one of your own for that."""
    with any_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def shell_to() -> Iterator[Callable[[Host], SshShell]]:
    """Opens shells and closes them afterwards."""
    from dojo_deploy.transports.ssh import Gateways, connect

    clock = SystemClock()
    gateways = Gateways(clock)
    shells: list[SshShell] = []

    def open_one(host: Host) -> SshShell:
        shells.append(connect(host, gateways, clock))
        return shells[-1]

    yield open_one
    for shell in shells:
        shell.close()
    gateways.close()
