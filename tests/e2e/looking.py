"""What tests see of a run, and of the hosts behind it: through SSH and /proc, never through the program's own word."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojo_deploy import app
from dojo_deploy.command import Command
from dojo_deploy.confidential import redactor
from dojo_deploy.events import Event, Warned
from dojo_deploy.inventory import Inventory
from dojo_deploy.reporters.plain import Plain
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import opened
from tests.e2e.fleet import QUICK, Fleet


@dataclass(frozen=True)
class Watched:
    """A run that ended: `output` is what a terminal without colours would have shown, all host lines included."""

    result: Result
    events: list[Event]
    output: str

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def warnings(self) -> str:
        return "\n".join(event.text for event in self.of(Warned))


def watch(fleet: Fleet, change: Callable[[Wishes], Result], *, probe: float = 0.0, at_least: int = 0) -> Watched:
    """Carries `change` out under a console and a recorder."""
    events: list[Event] = []
    stream = io.StringIO()
    wishes = Wishes(
        probe_rate=probe,
        probe_at_least=at_least,
        subscribers=(events.append, Plain(stream, redact=redactor(fleet.site), verbose=True)),
    )
    result = change(wishes)
    return Watched(result, events, stream.getvalue())


def deploying(fleet: Fleet, ref: str, *, probe: float = 0.0, at_least: int = 0, **overrides: str) -> Watched:
    """One deployment, watched; `overrides` are strategy keys with `__` for a dot."""
    values = {**QUICK, **{key.replace("__", "."): value for key, value in overrides.items()}}
    return watch(
        fleet,
        lambda wishes: app.deploy(fleet.inventory, "rolling", ref=ref, overrides=values, wishes=wishes),
        probe=probe,
        at_least=at_least,
    )


def variant(fleet: Fleet, path: Path, change: Callable[[dict[str, Any]], None]) -> Fleet:
    """The same fleet as a plain inventory file at `path`, with a change to its document."""
    document = deepcopy(dict(fleet.site.document))
    change(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))
    return Fleet(path)


def told(site: Inventory, line: str, hosts: Iterable[str] = ()) -> dict[str, str]:
    """What a shell line prints on each host, over SSH."""
    names = tuple(hosts) or tuple(host.name for host in site.group(site.web))
    with opened(site) as session:
        return {name: session.shell(name).run(Command.shell(line), within=60).text for name in names}


def pm2_names(site: Inventory) -> dict[str, list[str]]:
    """Which processes of the site each host's PM2 knows, whatever their state, repeated per instance."""
    lists = told(site, "pm2 jlist")
    scope = f"{site.scope}-"
    return {
        host: sorted(entry["name"] for entry in json.loads(text.splitlines()[-1]) if entry["name"].startswith(scope))
        for host, text in lists.items()
    }


def serves(fleet: Fleet, release: str) -> None:
    """Every host runs `release` and nothing else, is in the balancer, and users get it."""
    site = fleet.site
    census = fleet.census()
    assert census.verdict == "consistent", census.rows
    assert {row["current"] for row in census.rows.values()} == {release}
    assert {row["running"] for row in census.rows.values()} == {f"{release} ×2"}
    assert {row["balancer"] for row in census.rows.values()} == {"serving"}
    assert set(fleet.answers()) == {release}
    own = sorted(f"{site.scope}-blue-{name}" for name in site.app.processes.each)
    assert pm2_names(site) == {host.name: own for host in site.group(site.web)}


def rolling(fleet: Fleet, strategy: Any, ref: str, *, limit: str = "") -> Watched:
    """One deployment by a strategy made in Python, watched."""
    return watch(
        fleet,
        lambda wishes: app.deploy(fleet.inventory, strategy, ref=ref, limit=limit, wishes=wishes),
    )


def migrations(fleet: Fleet) -> int:
    """How often the migration tool ran: the tool itself counts, in the application's database."""
    place = next(host for host in fleet.site.group(fleet.site.web)).root
    script = (
        "const {Client}=require('pg');(async()=>{const c=new Client({connectionString:process.env.DATABASE_URL});"
        "await c.connect();console.log((await c.query('SELECT count(*) FROM migration_runs')).rows[0].count);"
        "await c.end()})()"
    )
    line = f'cd {place}/slots/blue/current && . ./.dojo/env.sh && node -e "{script}"'
    first = fleet.site.group(fleet.site.web)[0].name
    return int(told(fleet.site, line, [first])[first])


def currents(fleet: Fleet) -> dict[str, str]:
    """Host -> the release that its processes run and its own health answer confirms."""
    rows = fleet.census().rows
    assert all(row["health"] == "ok" and row["running"] == f"{row['current']} ×2" for row in rows.values()), rows
    return {host: row["current"] for host, row in rows.items()}
