"""What every balancer promises, whatever its kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from dojo_deploy.balancers import KINDS, shorthand
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Backend, Balancer

from .local import LocalSession, RunningNginx, Upstream, inventory, pool

Site = tuple[Balancer, LocalSession, tuple[Backend, ...]]


@pytest.fixture(params=sorted(KINDS))
def site(request: pytest.FixtureRequest, nginx: RunningNginx, upstreams: list[Upstream]) -> Site:
    if request.param == "nginx":
        nginx.start()
    makers: dict[str, Callable[[], Balancer]] = {
        "nginx": lambda: nginx.settings("shop-test"),
        "none": lambda: _class("none")(),
    }
    balancer = makers[request.param]()
    assert type(balancer) is _class(request.param)
    return balancer, LocalSession(inventory("shop", balancer)), pool(upstreams)


def test_a_backend_never_seen_is_drained_where_draining_is_possible(site: Site) -> None:
    balancer, session, backends = site
    expected = {backend.host for backend in backends} if balancer.can_drain else set()
    assert balancer.drained(session, backends) == expected


def test_restore_and_drain_are_repeatable_and_can_be_read_back(site: Site) -> None:
    balancer, session, backends = site
    for backend in (*backends, backends[0]):
        balancer.restore(session, backend, backends)
    assert balancer.drained(session, backends) == set()
    for _ in range(2):
        balancer.drain(session, backends[1], backends)
        assert balancer.drained(session, backends) == ({"web2"} if balancer.can_drain else set())
    balancer.restore(session, backends[1], backends)
    assert balancer.drained(session, backends) == set()


def test_answers_come_from_the_backends_that_were_put_in(site: Site) -> None:
    balancer, session, backends = site
    for backend in backends[:2]:
        balancer.restore(session, backend, backends)
    answers = [balancer.answer(session, "/health") for _ in range(12)]
    if not balancer.can_drain:
        assert answers == [None] * 12
        return
    assert {answer.upstream for answer in answers if answer} == {backend.address for backend in backends[:2]}
    assert {(answer.status, answer.release) for answer in answers if answer} == {(200, "r1")}


def test_the_last_backend_is_drained_only_when_nothing_needs_to_be_left(site: Site) -> None:
    balancer, session, backends = site
    balancer.restore(session, backends[0], backends)
    if balancer.can_drain:
        with pytest.raises(RefusedError):
            balancer.drain(session, backends[0], backends)
        assert balancer.drained(session, backends[:1]) == set()
    balancer.drain(session, backends[0], ())
    assert balancer.drained(session, backends[:1]) == ({"web1"} if balancer.can_drain else set())


def test_a_preview_says_what_would_happen_to_which_host(site: Site) -> None:
    balancer, _, backends = site
    for verb in ("drain", "restore"):
        lines = balancer.preview(verb, backends[0])
        assert bool(lines) == balancer.can_drain
        assert not lines or "web1" in lines[0]
    if balancer.can_drain:
        assert balancer.preview("drain", backends[0]) != balancer.preview("restore", backends[0])


def test_warnings_are_words_about_a_balancer_host(site: Site) -> None:
    balancer, session, _ = site
    warnings = balancer.warnings(session)
    assert all(text.startswith("lb1: ") for text in warnings)
    assert bool(warnings) == balancer.can_drain  # this nginx has no worker_shutdown_timeout


def test_one_word_names_a_balancer() -> None:
    assert shorthand("none") == {"kind": "none"}
    assert shorthand("our.lb:Edge") == {"kind": "our.lb:Edge"}
    with pytest.raises(ConfigError, match="not a balancer"):
        shorthand("ngnix")


def _class(kind: str) -> type:
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
