"""Hosts, and what stands beside them, looked over before anything is deployed."""

from __future__ import annotations

from dataclasses import replace

from dojo_deploy.app.sites import Site, opening
from dojo_deploy.checks.run import Checked
from dojo_deploy.checks.run import check as run
from dojo_deploy.confidential import confidential, redactor
from dojo_deploy.engine.executors import threads
from dojo_deploy.inventory import Inventory
from dojo_deploy.runs.begin import site_lanes
from dojo_deploy.secrets import Redactor


def check(inventory: Site = None) -> Checked:
    """What would fail a deployment, each with the line that mends it. Changes nothing on any host."""
    with opening(inventory) as session, threads(site_lanes(session)) as executor:
        site = session.inventory
        session.warm(site.hosts)
        return _masked(run(session, executor, read_secrets=lambda: redactor(site)), site)


def _masked(checked: Checked, site: Inventory) -> Checked:
    # One that cannot be read is a finding; what it would be is not known here either.
    mask = Redactor(confidential(site, readable=True))
    findings = tuple(replace(one, what=mask(one.what), fix=mask(one.fix)) for one in checked.findings)
    return replace(checked, findings=findings)
