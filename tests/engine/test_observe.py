"""What a look at a host finds, on this machine, with a real server behind the health probe."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.clock import SystemClock
from dojo_deploy.config import inventory_from_document
from dojo_deploy.engine.ledger import observed_as_dict, observed_from_dict
from dojo_deploy.engine.observe import Looking
from dojo_deploy.errors import BalancerError
from dojo_deploy.interfaces import Session
from dojo_deploy.inventory import Inventory
from dojo_deploy.release import HostSeen, Observed
from dojo_deploy.transports.local import LocalShell


class Application(http.server.ThreadingHTTPServer):
    """Answers every request with `status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Application)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def app() -> Iterator[Application]:
    server = Application()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def host(app: Application, tmp_path: Path) -> Iterator[Inventory]:
    """A process that runs in its release's folder, beside the server that answers for it."""
    release = tmp_path / "releases" / "v1"
    (release / ".dojo").mkdir(parents=True)
    (release / ".dojo" / "complete").write_text("ab\n")
    (tmp_path / "slots" / "blue").mkdir(parents=True)
    (tmp_path / "slots" / "blue" / "current").symlink_to(release)
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=release)
    document: dict[str, Any] = {
        "app": {
            "name": "shop",
            "environment": "test",
            "root": str(tmp_path),
            "release_field": "",
            "processes": {"kind": "command", "web": {"port": app.server_port, "running": f"echo {process.pid}"}},
        },
        "hosts": {"web": ["web1"]},
    }
    yield inventory_from_document(document)
    process.communicate()


def seen(inventory: Inventory) -> HostSeen:
    return whole(inventory).hosts["web1"]


def whole(inventory: Inventory) -> Observed:
    session: Any = SimpleNamespace(inventory=inventory, clock=SystemClock())
    session.shell = lambda name: LocalShell(inventory.hosts[name])
    with ThreadPoolExecutor() as executor:
        return Looking(session, inventory.group("web"), executor, platform=False).observed()


def test_a_host_that_serves_is_well_and_one_that_answers_errors_is_sick(host: Inventory, app: Application) -> None:
    well = seen(host)
    app.status = 500
    sick = seen(host)

    assert (well.sick, well.is_healthy("blue")) == ("", True)
    assert "want 200 to 299 (500" in sick.sick
    assert not sick.is_healthy("blue")


def test_a_host_where_nothing_is_deployed_is_not_asked(host: Inventory, app: Application) -> None:
    app.status = 500
    (Path(host.app.root) / "slots" / "blue" / "current").unlink()

    assert seen(host).sick == ""


def test_fewer_processes_than_configured_are_told(host: Inventory) -> None:
    web = replace(host.app.processes.each["web"], running="", instances=2)
    processes = replace(host.app.processes, each={"web": web})

    assert seen(replace(host, app=replace(host.app, processes=processes))).sick == "0 of 2 web run"


@dataclass(frozen=True)
class Grumbling(NoBalancer):
    """Warns, or refuses itself as nginx does whose include is not there yet."""

    refuses: bool = False

    def warnings(self, session: Session) -> tuple[str, ...]:  # noqa: ARG002 - the protocol names it
        if self.refuses:
            raise BalancerError("lb1: nginx refuses its configuration as it is")
        return ("lb1: too old",)


@dataclass(frozen=True)
class Serving(Grumbling):
    """Sends requests to every host."""

    can_drain = True


def test_a_balancer_that_serves_and_could_not_be_changed_is_no_warning(host: Inventory) -> None:
    with pytest.raises(BalancerError, match="refuses its configuration"):
        whole(replace(host, balancer=Serving(refuses=True)))


@pytest.mark.parametrize(
    ("balancer", "said"),
    [(Grumbling(), "lb1: too old"), (Grumbling(refuses=True), "lb1: nginx refuses its configuration as it is")],
)
def test_what_the_balancer_says_of_itself_is_seen_and_comes_back_from_the_store(
    host: Inventory, balancer: Grumbling, said: str
) -> None:
    found = whole(replace(host, balancer=balancer))

    assert found.warnings == (said,)
    assert observed_from_dict(json.loads(json.dumps(observed_as_dict(found)))) == found
