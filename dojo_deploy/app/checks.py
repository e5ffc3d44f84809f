"""Hosts, and what stands beside them, looked over before anything is deployed."""

from __future__ import annotations

from dojo_deploy.app.sites import Site, opening
from dojo_deploy.checks.run import Checked
from dojo_deploy.checks.run import check as run
from dojo_deploy.engine.executors import threads
from dojo_deploy.runs.begin import site_lanes
from dojo_deploy.session import redactor


def check(inventory: Site = None) -> Checked:
    """What would fail a deployment, each with the line that mends it. Changes nothing on any host."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        session.warm(session.inventory.hosts)
        return run(session, executor, read_secrets=lambda: redactor(session.inventory))
