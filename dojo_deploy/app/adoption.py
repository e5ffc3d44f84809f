"""A running checkout becomes the first release: asked on every host, then a run like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dojo_deploy.app.plans import choose, plan
from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.inventory import BLUE, Host
from dojo_deploy.plan import Plan
from dojo_deploy.release import Placement
from dojo_deploy.runs.conduct import Result, conduct
from dojo_deploy.runs.which import present
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.session import OpenSession
from dojo_deploy.steps import adopting

WITHIN = 60.0


def adopt(
    checkout: str,
    inventory: Site = None,
    *,
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Makes what runs in the folder `checkout` of every host the release `legacy-<commit>`.

    Raises as `deploy`; RefusedError for checkouts of different commits, without a process of PM2's, or without what
    the inventory runs.
    """
    with opening(inventory) as session:
        chosen = _chosen(session, checkout, overrides)
        wishes = complete(session, wishes)
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def adoption(checkout: str, inventory: Site = None, *, overrides: Mapping[str, str] | None = None) -> Plan:
    """What `adopt` would do now. Raises as it does."""
    with opening(inventory) as session:
        return plan(session, _chosen(session, checkout, overrides))


def _chosen(session: OpenSession, checkout: str, overrides: Mapping[str, str] | None) -> Strategy:
    site = session.inventory
    if not checkout.startswith(("/", "~/")):
        raise ConfigError(f"{checkout!r} is no absolute path", key="--checkout", hint="--checkout /srv/app, or ~/app")
    hosts = site.group(site.web)
    with ThreadPoolExecutor(max_workers=len(hosts), thread_name_prefix="adopt") as executor:
        found = list(executor.map(lambda host: _looked(session, host, checkout.rstrip("/")), hosts))
    if len({one.commit for one in found}) > 1:
        said = ", ".join(f"{one.host.name} is at {one.commit[:12]}" for one in found)
        raise RefusedError(f"the checkouts differ: {said}", hint="bring them to one commit the way you did so far")
    settled = {
        "checkouts": {one.host.name: one.folder for one in found},
        "commit": found[0].commit,
        "found": [one.note for one in found],
    }
    texts = {key: json.dumps(value) for key, value in settled.items()}
    return choose("adopt", site, overrides={**(overrides or {}), **texts})


@dataclass(frozen=True)
class _Found:
    """One host's checkout; `note` is for people."""

    host: Host
    folder: str
    commit: str
    note: str


def _looked(session: OpenSession, host: Host, checkout: str) -> _Found:
    """Raises RefusedError for a checkout that cannot be adopted."""
    place = Placement(host, BLUE, "", session.inventory.app)
    done = session.shell(host.name).run(adopting.question(place, checkout), within=WITHIN)
    if not done.ok:
        raise RefusedError(f"{host.name}: {checkout} cannot be adopted: {done.complaint}")
    rows = [line.partition(" ") for line in done.text.splitlines() if line.startswith("@")]
    said = {key: rest for key, _, rest in rows}
    folder, commit = said.get("@folder", ""), said.get("@commit", "")
    if f"{host.root}/".startswith(f"{folder}/"):
        raise RefusedError(
            f"{host.name}: app.root, {host.root}, lies in the checkout {folder}",
            hint="give it a folder of its own in the inventory: releases, shared files and state go there",
        )
    missing = [rest for key, _, rest in rows if key == "@missing"]
    if missing:
        raise RefusedError(
            f"{host.name}: {folder} has no {', '.join(missing)}, which the inventory runs",
            hint="`script` in app.processes is relative to the checkout",
        )
    running = sorted(rest.split(" ")[0] for key, _, rest in rows if key == "@app" and rest.endswith(" online"))
    if not running:
        raise RefusedError(
            f"{host.name}: PM2 runs nothing in {folder}",
            hint=f"as {host.ssh.user}: pm2 ls; for another PM2_HOME: app.processes.kind: {{kind: pm2, home: …}}",
        )
    changed = ", with changes that are in no commit" if "@changed" in said else ""
    note = f"{host.name}: {folder} at {commit[:12]}{changed}; PM2 runs {', '.join(running)}"
    return _Found(host, folder, commit, note)
