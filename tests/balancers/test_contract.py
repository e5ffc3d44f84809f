"""What every balancer promises, whatever its kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from dojo_deploy.balancers import KINDS, shorthand
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Answer, Backend, Balancer, Page

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


def test_answers_come_from_the_backends_that_were_put_in(site: Site, upstreams: list[Upstream]) -> None:
    balancer, session, backends = site
    for backend in backends[:2]:
        balancer.restore(session, backend, backends)
    if not balancer.can_drain:
        assert balancer.answer(session, "/health") is None
        return
    answers, addresses = answered(balancer, session, upstreams, 12)
    assert addresses == {backend.address for backend in backends[:2]}
    assert {(answer.status, answer.release) for answer in answers} == {(200, "r1")}


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
    assert all(text.startswith(("lb1: ", "green-")) for text in warnings)
    # This nginx has no worker_shutdown_timeout, and this load balancer does not know green yet.
    assert bool(warnings) == balancer.can_drain


def test_serving_is_read_of_any_slot(site: Site, greens: list[Upstream]) -> None:
    balancer, session, blue = site
    green = pool(greens, "green")
    for backend in blue[:2]:
        balancer.restore(session, backend, blue)
    expected = set(blue[:2]) if balancer.can_drain else {*blue, *green}
    assert balancer.serving(session, (*blue, *green)) == expected


def test_a_switch_there_and_back_and_there_is_read_back_and_repeatable(
    site: Site, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    balancer, session, blue = site
    green = pool(greens, "green")
    if not balancer.can_switch:
        with pytest.raises(RefusedError, match="no balancer"):
            balancer.switch(session, green, blue)
        return
    for to, away, release in ((blue, green, "r1"), (green, blue, "r2"), (blue, green, "r1"), (green, blue, "r2")):
        for _ in range(2):
            balancer.switch(session, to, away)
            assert balancer.serving(session, (*blue, *green)) == set(to)
        answers, addresses = answered(balancer, session, [*upstreams, *greens], 9)
        assert {answer.release for answer in answers} == {release}
        assert addresses <= {backend.address for backend in to}
    balancer.settle(session, 20.0)
    with pytest.raises(RefusedError):
        balancer.switch(session, (), green)
    assert balancer.serving(session, (*blue, *green)) == set(green)


def test_a_host_is_drained_and_restored_after_a_switch_as_before(site: Site, greens: list[Upstream]) -> None:
    balancer, session, blue = site
    green = pool(greens, "green")
    if not balancer.can_switch:
        return
    balancer.switch(session, blue, green)
    balancer.switch(session, green, blue)
    balancer.drain(session, green[0], green)
    assert balancer.serving(session, (*blue, *green)) == set(green[1:])
    balancer.restore(session, green[0], green)
    assert balancer.serving(session, (*blue, *green)) == set(green)


def test_a_page_closes_and_opens_the_site_and_can_be_read_back(site: Site) -> None:
    balancer, session, backends = site
    page = Page(body="<p>back soon: $5 'and' \"more\"\n", content_type="text/html; charset=utf-8", exempt=("/health",))
    balancer.open(session)
    assert not balancer.closed(session)
    if not balancer.can_switch:
        with pytest.raises(RefusedError, match="no balancer"):
            balancer.close(session, page)
        return
    for backend in backends:
        balancer.restore(session, backend, backends)
    for _ in range(2):
        balancer.close(session, page)
        assert balancer.closed(session)
        shown, through = balancer.answer(session, "/"), balancer.answer(session, "/health")
        assert shown and (shown.status, shown.body, shown.upstream) == (503, page.body.encode(), "")
        assert through and (through.status, through.release) == (200, "r1")
    balancer.settle(session, 20.0)
    for _ in range(2):
        balancer.open(session)
        assert not balancer.closed(session)
        answer = balancer.answer(session, "/")
        assert answer and (answer.status, answer.release) == (200, "r1")


def test_a_preview_of_a_switch_names_who_will_serve(site: Site) -> None:
    balancer, _, backends = site
    lines = "\n".join(balancer.preview("switch", *backends))
    assert all(backend.address in lines for backend in backends) == balancer.can_switch
    assert bool(balancer.preview("close")) == bool(balancer.preview("open")) == balancer.can_switch


def test_one_word_names_a_balancer() -> None:
    assert shorthand("none") == {"kind": "none"}
    assert shorthand("our.lb:Edge") == {"kind": "our.lb:Edge"}
    with pytest.raises(ConfigError, match="not a balancer"):
        shorthand("ngnix")


def answered(
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
