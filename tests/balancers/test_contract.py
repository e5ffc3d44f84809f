"""What every balancer promises, whatever its kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from dojo_deploy.balancers import KINDS, shorthand
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Answer, Backend, Balancer
from dojo_deploy.testing.balancers import Answered, BalancerContract

from .local import LocalSession, RunningNginx, Upstream, inventory, pool

Site = tuple[Balancer, LocalSession, tuple[Backend, ...]]


@pytest.fixture(params=[*sorted(KINDS), "nginx of Debian"])
def site(request: pytest.FixtureRequest, upstreams: list[Upstream]) -> Site:
    def started(name: str) -> Balancer:
        running: RunningNginx = request.getfixturevalue(name)
        running.start()
        return running.settings("shop-test")

    makers: dict[str, Callable[[], Balancer]] = {
        "nginx": lambda: started("nginx"),
        "nginx of Debian": lambda: started("old_nginx"),
        "none": lambda: _class("none")(),
        "alb": lambda: request.getfixturevalue("edge").settings(),
    }
    balancer = makers[request.param]()
    assert type(balancer) is _class(request.param.split()[0])
    return balancer, LocalSession(inventory("shop", balancer)), pool(upstreams)


class TestEveryBalancer(BalancerContract):
    @pytest.fixture
    def green(self, greens: list[Upstream]) -> tuple[Backend, ...]:
        return pool(greens, "green")

    @pytest.fixture
    def answered(self, site: Site, upstreams: list[Upstream], greens: list[Upstream]) -> Answered:
        balancer, session, _ = site
        return lambda times: asked_of(balancer, session, [*upstreams, *greens], times)


def test_warnings_are_words_about_a_balancer_host(site: Site) -> None:
    balancer, session, _ = site
    warnings = balancer.warnings(session)
    assert all(text.startswith(("lb1: ", "green-")) for text in warnings)
    # This nginx has no worker_shutdown_timeout, and this load balancer does not know green yet.
    assert bool(warnings) == balancer.can_drain


def test_one_word_names_a_balancer() -> None:
    assert shorthand("none") == {"kind": "none"}
    assert shorthand("our.lb:Edge") == {"kind": "our.lb:Edge"}
    with pytest.raises(ConfigError, match="not a balancer"):
        shorthand("ngnix")


def asked_of(
    balancer: Balancer, session: LocalSession, upstreams: list[Upstream], times: int
) -> tuple[list[Answer], set[str]]:
    """Answers, and who was asked: by the upstreams, and by the balancer, but for Amazon's, which tells nobody."""
    before = {upstream.address: upstream.count for upstream in upstreams}
    answers = [answer for _ in range(times) if (answer := balancer.answer(session, "/health"))]
    asked = {upstream.address for upstream in upstreams if upstream.count > before[upstream.address]}
    assert len(answers) == times
    assert {answer.upstream for answer in answers} == ({""} if isinstance(balancer, _class("alb")) else asked)
    return answers, asked


def _class(kind: str) -> type:
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
