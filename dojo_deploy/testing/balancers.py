"""What every balancer promises: subclass `BalancerContract` in a test, and stand yours before servers that answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.interfaces import Answer, Backend, Balancer, Page, Session

Site = tuple[Balancer, Session, tuple[Backend, ...]]
Answered = Callable[[int], tuple[list[Answer], set[str]]]


class BalancerContract:
    """To be given: fixtures `site`, `green` and `answered`.

    `site`: the balancer, a session, and the backends of blue on web1, web2, web3, whose servers answer /health with
    release r1; `green`: those of the other colour, with r2. `answered(n)`: n answers to /health through the balancer,
    and the addresses of those who were asked. At first the balancer has never heard of any of them.
    """

    def test_a_backend_never_seen_is_drained_where_draining_is_possible(self, site: Site) -> None:
        balancer, session, backends = site
        expected = {backend.host for backend in backends} if balancer.can_drain else set()
        assert balancer.drained(session, backends) == expected

    def test_restore_and_drain_are_repeatable_and_can_be_read_back(self, site: Site) -> None:
        balancer, session, backends = site
        for backend in (*backends, backends[0]):
            balancer.restore(session, backend, backends)
        assert balancer.drained(session, backends) == set()
        for _ in range(2):
            balancer.drain(session, backends[1], backends)
            assert balancer.drained(session, backends) == ({"web2"} if balancer.can_drain else set())
        balancer.restore(session, backends[1], backends)
        assert balancer.drained(session, backends) == set()

    def test_answers_come_from_the_backends_that_were_put_in(self, site: Site, answered: Answered) -> None:
        balancer, session, backends = site
        for backend in backends[:2]:
            balancer.restore(session, backend, backends)
        if not balancer.can_drain:
            assert balancer.answer(session, "/health") is None
            return
        answers, addresses = answered(12)
        assert addresses == {backend.address for backend in backends[:2]}
        assert {(answer.status, answer.release) for answer in answers} == {(200, "r1")}

    def test_the_last_backend_is_drained_only_when_nothing_needs_to_be_left(self, site: Site) -> None:
        balancer, session, backends = site
        balancer.restore(session, backends[0], backends)
        if balancer.can_drain:
            with pytest.raises(RefusedError):
                balancer.drain(session, backends[0], backends)
            assert balancer.drained(session, backends[:1]) == set()
        balancer.drain(session, backends[0], ())
        assert balancer.drained(session, backends[:1]) == ({"web1"} if balancer.can_drain else set())

    def test_a_preview_says_what_would_happen_to_which_host(self, site: Site) -> None:
        balancer, _, backends = site
        for verb in ("drain", "restore"):
            lines = balancer.preview(verb, backends[0])
            assert bool(lines) == balancer.can_drain
            assert not lines or "web1" in lines[0]
        if balancer.can_drain:
            assert balancer.preview("drain", backends[0]) != balancer.preview("restore", backends[0])

    def test_serving_is_read_of_any_slot(self, site: Site, green: tuple[Backend, ...]) -> None:
        balancer, session, blue = site
        for backend in blue[:2]:
            balancer.restore(session, backend, blue)
        expected = set(blue[:2]) if balancer.can_drain else {*blue, *green}
        assert balancer.serving(session, (*blue, *green)) == expected

    def test_a_switch_there_and_back_and_there_is_read_back_and_repeatable(
        self, site: Site, green: tuple[Backend, ...], answered: Answered
    ) -> None:
        balancer, session, blue = site
        if not balancer.can_switch:
            with pytest.raises(RefusedError, match="no balancer"):
                balancer.switch(session, green, blue)
            return
        for to, away, release in ((blue, green, "r1"), (green, blue, "r2"), (blue, green, "r1"), (green, blue, "r2")):
            for _ in range(2):
                balancer.switch(session, to, away)
                assert balancer.serving(session, (*blue, *green)) == set(to)
            answers, addresses = answered(9)
            assert {answer.release for answer in answers} == {release}
            assert addresses <= {backend.address for backend in to}
        balancer.settle(session, 20.0)
        with pytest.raises(RefusedError):
            balancer.switch(session, (), green)
        assert balancer.serving(session, (*blue, *green)) == set(green)

    def test_a_host_is_drained_and_restored_after_a_switch_as_before(
        self, site: Site, green: tuple[Backend, ...]
    ) -> None:
        balancer, session, blue = site
        if not balancer.can_switch:
            return
        balancer.switch(session, blue, green)
        balancer.switch(session, green, blue)
        balancer.drain(session, green[0], green)
        assert balancer.serving(session, (*blue, *green)) == set(green[1:])
        balancer.restore(session, green[0], green)
        assert balancer.serving(session, (*blue, *green)) == set(green)

    def test_a_page_closes_and_opens_the_site_and_can_be_read_back(self, site: Site) -> None:
        balancer, session, backends = site
        page = Page(
            body="<p>back soon: $5 'and' \"more\"\n", content_type="text/html; charset=utf-8", exempt=("/health",)
        )
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

    def test_a_preview_of_a_switch_names_who_will_serve(self, site: Site) -> None:
        balancer, _, backends = site
        lines = "\n".join(balancer.preview("switch", *backends))
        assert all(backend.address in lines for backend in backends) == balancer.can_switch
        assert bool(balancer.preview("close")) == bool(balancer.preview("open")) == balancer.can_switch
