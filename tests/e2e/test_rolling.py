"""Deployments of good and bad releases; each ends with which release answers where."""

from __future__ import annotations

from tests.e2e.fleet import Fleet


def test_a_good_release_serves_on_every_host_and_loses_no_request(site: Fleet) -> None:
    result = site.deploy("v2", probe=400, at_least=5000)

    assert (result.verdict, result.exit_code) == ("done", 0)
    assert result.load and result.load.failures == 0 and result.load.requests >= 5000
    assert set(site.answers()) == {result.release}
    assert site.census().verdict == "consistent"
