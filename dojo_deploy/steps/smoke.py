"""The operator's own tests of the idle colour, at its own address, before it serves anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Backend
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import CONTROLLER, Lane, OnHost, Stage, Step
from dojo_deploy.release import Placement
from dojo_deploy.steps.hooks import OnController

PLACES = ("controller", "each")


@dataclass(frozen=True)
class Smoke:
    """Keys of an entry of `smoke:`. `run` sees `$URL`, the idle colour's own address; exit status 0 passes.

    `on`: `controller` (once, at the first idle host), or `each` idle host, at its own port. `url`: where the idle
    colour is reached, if not at its hosts' own addresses. `deadline` in seconds.
    """

    run: str
    on: str = "controller"
    name: str = ""
    url: str = ""
    deadline: float = 300.0

    def __post_init__(self) -> None:
        if self.on not in PLACES:
            raise ConfigError(f"a smoke test has no {self.on!r}", key="on", hint=f"one of: {', '.join(PLACES)}")


def stages(
    tests: Sequence[Smoke], site: Inventory, places: tuple[Placement, ...], serving: Sequence[Backend]
) -> Iterator[Stage]:
    """A stage per test, in their order. Raises RefusedError for one that would test what serves."""
    for number, test in enumerate(tests, 1):
        first = site.backends(places[0].slot)[0]
        url = test.url or f"http://{first.address}"
        live = {backend.address for backend in serving} | ({_place(site.url)} if site.url else set())
        if test.on == "controller" and _place(url) in live:
            raise RefusedError(
                f"the smoke test {test.name or test.run!r} would test {url}, which serves users now",
                hint="name the idle colour's own address as its `url`, or leave that out",
            )
        yield Stage(f"smoke {test.name or number}", tuple(_lanes(test, url, places)))


def _lanes(test: Smoke, url: str, places: tuple[Placement, ...]) -> Iterator[Lane]:
    if test.on == "controller":
        hidden = ("HOST", "RELEASE_DIR", "CURRENT", "SHARED_DIR", "PORT")
        values = {name: value for name, value in places[0].variables.items() if name not in hidden}
        line = OnController(Command.shell(test.run, env={**values, "URL": url}), test.deadline)
        yield Lane(CONTROLLER, (Step("smoke", line, deadline=test.deadline),))
        return
    for place in places:
        variables = place.variables
        command = Command.shell(test.run, env={**variables, "URL": f"http://127.0.0.1:{variables['PORT']}"})
        yield Lane(place.host.name, (Step("smoke", OnHost((command,)), deadline=test.deadline),))


def _place(url: str) -> str:
    """`host:port` of an address."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return f"{(parts.hostname or '').lower()}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
