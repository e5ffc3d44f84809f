"""The page goes up and down as steps; nothing is closed where nobody could answer in the hosts' place."""

from __future__ import annotations

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Page
from dojo_deploy.steps import maintenance
from tests.sites import site


def test_the_page_comes_with_its_way_back_and_lets_the_health_check_through() -> None:
    (lane,) = maintenance.close(site(), Page(allow=("10.0.0.0/8",)), settle=20.0).lanes
    step, quiet = lane.steps

    assert isinstance(step.action, maintenance.Close) and step.action.page.exempt == ("/health",)
    assert "503, Retry-After 120; let through: /health, 10.0.0.0/8" in step.action.preview()[-1]
    assert quiet.action.preview() == ("until no request of before the page is under way, at most 20 s",)
    assert step.undo and isinstance(step.undo.action, maintenance.Open)


def test_a_site_without_a_balancer_cannot_be_closed() -> None:
    with pytest.raises(RefusedError, match="no balancer to show"):
        maintenance.close(site(balancer="none"), Page(), settle=20.0)
