"""A real SSH server for every test that needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from dojo_deploy.clock import SystemClock
from dojo_deploy.inventory import Host
from dojo_deploy.transports.shells import SshShell
from tests.sshd import Server, any_server

# Folders whose tests share servers that are started once per process; the longest first, for what begins last is
# waited for.
COSTLY = ("e2e", "system", "stores", "migrations", "sandbox")
# Of e2e, what has a fleet of its own: half of the tests of one can run beside the other half.
APART = {
    "lost": ("/test_crash", "/test_lock", "/test_lost_connection", "/test_signals"),
    "pair": ("/test_blue_green",),
    "data": ("/test_maintenance", "/test_migrations", "/test_restore", "/test_schema"),
}
# What the tests start behaves as for a person, wherever they run; those about CI set it.
os.environ.pop("CI", None)
# Needs a privilege that a container may lack, and that no package gives.
MAY_SKIP = "mount"


def group_of(nodeid: str) -> str:
    """Tests of one group share one process and its servers: those of a file, or of a costly folder."""
    path = nodeid.split("::", 1)[0]
    folder = path.split("/")[1]
    if folder == "e2e":
        return next((name for name, files in APART.items() if any(file in path for file in files)), folder)
    return folder if folder in COSTLY else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups as one piece each, the longest first."""
    order = ("e2e", *APART, *COSTLY[1:])

    def rank(item: pytest.Item) -> tuple[int, str]:
        group = group_of(item.nodeid)
        return order.index(group) if group in order else len(order), group

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Side by side, the groups in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class ByServers(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # by their number of tests
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
