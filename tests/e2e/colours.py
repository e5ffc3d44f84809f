"""A fleet with two colours, as its hosts, its processes and its users see it."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass, replace
from typing import Any

from dojo_deploy import app
from dojo_deploy.engine.ledger import Record, read_record
from dojo_deploy.interfaces import Subscriber
from dojo_deploy.inventory import BLUE, GREEN
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import opened
from tests.e2e.fleet import Fleet
from tests.e2e.looking import Watched, pm2_names, told, watch

HASTE = {"gate.every": "100ms", "gate.in_a_row": "1", "watch": "300ms", "settle": "5s"}
OTHER = {BLUE: GREEN, GREEN: BLUE}


@dataclass(frozen=True)
class Colours(Fleet):
    """Which colour is live changes from test to test; every one says what it needs served, and by what it is known."""

    def bring(
        self, ref: str, *, probe: float = 0.0, at_least: int = 0, watching: Subscriber | None = None, **overrides: str
    ) -> Watched:
        """A blue-green deployment, watched; `overrides` are strategy keys with `__` for a dot."""
        values = {**HASTE, **{key.replace("__", "."): value for key, value in overrides.items()}}

        def deploy(wishes: Wishes) -> Result:
            wishes = replace(wishes, subscribers=(*wishes.subscribers, *filter(None, [watching])))
            return app.deploy(self.inventory, "blue-green", ref=ref, overrides=values, wishes=wishes)

        return watch(self, deploy, probe=probe, at_least=at_least)

    def back(self, *, probe: float = 0.0, at_least: int = 0, to: str = "") -> Watched:
        values = {key: HASTE[key] for key in ("gate.every", "gate.in_a_row", "settle")}
        return watch(
            self,
            lambda wishes: app.rollback(self.inventory, to=to, overrides=values, wishes=wishes),
            probe=probe,
            at_least=at_least,
        )

    def serving(self, *refs: str) -> str:
        """One of `refs` serves and no run is open: the first, if none of them did. Which it is."""
        app.abort(self.inventory)
        census = self.census()
        names = {known.id: known.ref for known in app.releases(self.inventory)}
        refs_now = {names.get(release, "") for release in census.through_balancer}
        if census.verdict == "consistent" and len(refs_now) == 1 and refs_now <= set(refs):
            return refs_now.pop()
        watched = self.bring(refs[0])
        assert watched.result.verdict == "done", watched.output
        return refs[0]

    def alone(self, *refs: str) -> str:
        """The same, with nothing beside it."""
        ref = self.serving(*refs)
        assert app.retire(self.inventory, now=True).verdict in ("done", "nothing to do")
        return ref

    @property
    def record(self) -> Record:
        with opened(self.site) as session:
            return read_record(session.store)

    def stand(self, live: str, release: str, *, standby: str = "") -> None:
        """`release` serves in `live` on every host and to all users; beside it stands `standby`, or nothing at all."""
        census, site = self.census(), self.site
        assert (census.verdict, census.live) == ("consistent", live), (census.verdict, census.live, census.rows)
        for host, row in census.rows.items():
            assert (row["current"], row["balancer"], row["health"]) == (release, "serving", "ok"), (host, row)
            assert row["running"] == f"{release} ×2", (host, row)
        assert set(self.answers()) == {release}
        assert self.record.live == live
        names = [f"{site.scope}-{live}-{name}" for name in ("web", "worker")]
        names += [f"{site.scope}-{OTHER[live]}-web"] if standby else []
        assert pm2_names(site) == {host.name: sorted(names) for host in site.group(site.web)}
        for host, text in told(site, "cat .pm2/dump.pm2").items():
            saved = [entry["name"] for entry in json.loads(text) if entry["name"].startswith(f"{site.scope}-")]
            assert sorted(saved) == sorted(names), (host, "comes back after a reboot", saved)
        for host, text in told(site, "for link in srv/*/slots/*/current; do readlink $link; done").items():
            there = {line.rpartition("/")[2] for line in text.splitlines()}
            assert there == {release, *filter(None, [standby])}, (host, text)
        found = self.record.standby
        if standby:
            assert found and (found.slot, found.release) == (OTHER[live], standby), found
        else:
            assert found is None

    def at_rest(self, *, within: float = 60.0) -> None:
        """Waits for a run that goes on without its command."""
        deadline = time.monotonic() + within
        while (entry := app.holder(self.inventory)) and entry.state == "held":
            assert time.monotonic() < deadline, f"a run still goes on after {within} s: {entry}"
            time.sleep(0.1)

    def health(self, slot: str) -> dict[str, dict[str, Any]]:
        """What a colour answers at its own address, host by host."""
        found = {}
        for backend in self.site.backends(slot):
            with urllib.request.urlopen(f"http://{backend.address}/health", timeout=5) as answer:
                found[backend.host] = json.load(answer)
        return found


def without_loss(watched: Watched, *, at_least: int, verdict: str = "done") -> None:
    result = watched.result
    assert result.verdict == verdict, watched.output
    assert result.load and result.load.failures == 0 and result.load.requests >= at_least, result.load
