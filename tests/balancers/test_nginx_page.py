"""The maintenance page as users, guests and monitors see it."""

from __future__ import annotations

import http.client
import socket
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dojo_deploy.balancers.nginx import Nginx
from dojo_deploy.errors import BalancerError, ConfigError, FencedError
from dojo_deploy.interfaces import Page

from .elsewhere import second_host
from .local import LocalSession, RunningNginx, Upstream, inventory, pool

SCOPE = "shop-test"
PAGE = Page(body="<h1>back at 5</h1>", content_type="text/html; charset=utf-8", retry_after=300, exempt=("/health",))


@dataclass(frozen=True)
class Site:
    running: RunningNginx
    settings: Nginx
    session: LocalSession

    def ask(
        self, path: str = "/", *, source: str = "127.0.0.9", method: str = "GET", seen_as: str = ""
    ) -> http.client.HTTPResponse:
        port = self.running.ports[SCOPE]
        connection = http.client.HTTPConnection("127.0.0.1", port, 5, source_address=(source, 0))
        body = "x=1" if method == "POST" else None
        connection.request(method, path, body, {"X-Dojo-As": seen_as} if seen_as else {})
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer


@pytest.fixture(params=["nginx", pytest.param("old_nginx", marks=pytest.mark.soak)])
def site(request: pytest.FixtureRequest, upstreams: list[Upstream]) -> Site:
    """All three backends serve; only 127.0.0.1 is trusted, so that other loopback addresses are strangers."""
    running: RunningNginx = request.getfixturevalue(request.param)
    running.start()
    settings = running.settings(SCOPE, effect_within=4.0, trusted=("127.0.0.1",))
    session = LocalSession(inventory("shop", settings))
    settings.switch(session, pool(upstreams), ())
    return Site(running, settings, session)


def test_everybody_is_told_503_when_to_come_back_and_why(site: Site) -> None:
    site.settings.close(site.session, PAGE)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        answer = site.ask("/any/path?x=1", method=method)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "300"), method
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.content == (b"" if method == "HEAD" else PAGE.body.encode())  # type: ignore[attr-defined]


def test_exempt_paths_pass_exactly_and_allowed_clients_everywhere(site: Site) -> None:
    site.settings.close(site.session, replace(PAGE, allow=("127.0.0.8", "127.1.0.0/16"), exempt=("/health", "/api/x")))
    seen = {
        (source, path): site.ask(path, source=source).status
        for source in ("127.0.0.8", "127.1.2.3", "127.0.0.9", "127.0.0.1")
        for path in ("/", "/health", "/api/x", "/api/x/y", "/healthy")
    }
    guests = {source for (source, path), status in seen.items() if path == "/" and status == 200}
    paths = {path for (source, path), status in seen.items() if source == "127.0.0.9" and status == 200}
    assert guests == {"127.0.0.8", "127.1.2.3"}
    assert paths == {"/health", "/api/x"}


def test_only_the_trusted_pass_by_saying_that_they_belong_there(site: Site) -> None:
    site.settings.close(site.session, PAGE)
    assert site.ask(source="127.0.0.1", seen_as="inside").status == 200
    assert site.ask(source="127.0.0.1").status == 503
    assert site.ask(source="127.0.0.9", seen_as="inside").status == 503
    for path, status in (("page", 404), ("closed", 503), ("nowhere", 503)):
        assert site.ask(f"/.dojo/{SCOPE}/{path}").status == status
    site.settings.open(site.session)
    for path in ("page", "closed"):
        assert site.ask(f"/.dojo/{SCOPE}/{path}").status == 404, "the page is nobody's to ask for by itself"


def test_a_page_that_lets_the_balancer_itself_in_is_proven_all_the_same(site: Site) -> None:
    site.settings.close(site.session, replace(PAGE, allow=("127.0.0.0/8",), exempt=("/",)))
    assert site.settings.closed(site.session) and site.ask("/x").status == 200


def test_another_page_replaces_the_first_and_a_restart_keeps_it(site: Site) -> None:
    site.settings.close(site.session, PAGE)
    site.settings.close(site.session, Page(body="later\n", retry_after=60, exempt=("/api/x",)))
    site.running.stop()
    site.running.start()
    answer = site.ask()
    assert (answer.content, answer.headers["Retry-After"]) == (b"later\n", "60")  # type: ignore[attr-defined]
    assert (site.ask("/health").status, site.ask("/api/x").status) == (503, 200)
    body = site.running.folder / "dojo" / SCOPE / "page" / "body"
    assert body.stat().st_mode & 0o777 == 0o644
    site.settings.open(site.session)
    assert site.ask().status == 200


def test_who_serves_can_be_changed_behind_the_page(
    site: Site, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    blue, green = pool(upstreams), pool(greens, "green")
    site.settings.close(site.session, replace(PAGE, exempt=()))
    site.settings.switch(site.session, green, blue)
    site.settings.drain(site.session, green[0], green)
    assert site.settings.closed(site.session) and site.ask().status == 503
    assert site.settings.serving(site.session, (*blue, *green)) == set(green[1:])
    site.settings.open(site.session)
    assert b"r2" in site.ask().content  # type: ignore[attr-defined]


def test_from_its_first_moment_on_the_page_is_whole_and_lets_through_whom_it_names(site: Site) -> None:
    turned_away: list[str] = []
    monitors: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answer = site.ask()
            if answer.status == 503:
                turned_away.append(answer.headers.get("Retry-After", "nothing"))
            monitors.append(site.ask("/health").status)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            site.settings.close(site.session, replace(PAGE, retry_after=300.0 + number))
            site.settings.open(site.session)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert turned_away and set(turned_away) <= {"300", "301", "302", "303"}
    assert set(monitors) == {200}


@pytest.mark.parametrize(
    "page",
    [
        Page(content_type='text/html"; return 200'),
        Page(content_type="text/$host"),
        Page(allow=("all; }",)),
        Page(exempt=('/" 1; } #',)),
        Page(exempt=("~^/.*",)),
        Page(exempt=("/a\n/b",)),
    ],
    ids=lambda page: str(page.content_type + str(page.allow + page.exempt)),
)
def test_nothing_of_a_page_is_read_as_configuration(page: Page) -> None:
    settings = Nginx()
    session = LocalSession(inventory("shop", settings))
    with pytest.raises(ConfigError, match="cannot be written into nginx's configuration"):
        settings.close(session, page)
    assert session.shells["lb1"].ran == []


def test_a_body_is_shown_byte_by_byte(site: Site) -> None:
    body = "$host `id` $(id) \\n \"'; } é\n\n<script>\n" + "x" * 40_000
    site.settings.close(site.session, replace(PAGE, body=body))
    assert site.ask().content == body.encode()  # type: ignore[attr-defined]


def test_a_page_that_nginx_refuses_leaves_the_site_open(site: Site) -> None:
    with pytest.raises(BalancerError, match="refused the change"):
        site.settings.close(site.session, replace(PAGE, allow=("999.1.1.1",)))
    assert not site.settings.closed(site.session) and site.ask().status == 200
    site.settings.close(site.session, PAGE)
    with pytest.raises(BalancerError, match="refused the change"):
        site.settings.close(site.session, replace(PAGE, body="other", allow=("999.1.1.1",)))
    assert site.ask().content == PAGE.body.encode()  # type: ignore[attr-defined]
    assert site.ask("/health").status == 200


def test_a_page_that_is_not_in_effect_is_noticed_and_put_back(site: Site) -> None:
    hasty = replace(site.settings, effect_within=1.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        extra = site.running.folder / "sites" / "taken.conf"
        extra.write_text(f"server {{ listen 127.0.0.1:{taken.getsockname()[1]}; }}\n")
        with pytest.raises(BalancerError, match=r"(?s)not in effect.*\[emerg\].*bind\(\).*in use") as caught:
            hasty.close(site.session, PAGE)
        assert "not put back" not in str(caught.value)
        assert not site.settings.closed(site.session) and site.ask().status == 200
        extra.unlink()
    site.settings.close(site.session, PAGE)
    assert site.ask().status == 503


def test_a_run_that_slept_through_a_takeover_neither_closes_nor_opens(site: Site) -> None:
    site.session.lease = ("store-a", 8)
    site.settings.close(site.session, PAGE)
    site.session.lease = ("store-a", 7)
    with pytest.raises(FencedError, match="generation 8 has changed this site, and this is 7"):
        site.settings.open(site.session)
    with pytest.raises(FencedError):
        site.settings.close(site.session, Page(body="other"))
    assert site.ask().content == PAGE.body.encode()  # type: ignore[attr-defined]
    site.session.lease = ("store-a", 8)
    site.settings.open(site.session)
    assert site.ask().status == 200


def test_all_balancers_close_or_none_does(site: Site, tmp_path: Path) -> None:
    other = RunningNginx(tmp_path / "n2", binary=Path(site.running.words.split()[0]))
    other.site(SCOPE)
    other.start()
    try:
        session = LocalSession(inventory("shop", site.settings, balancers=("lb1", "lb2")))
        session.shells["lb2"] = second_host(session.inventory.hosts["lb2"], site.running, other, SCOPE)
        broken = other.folder / "sites" / "broken.conf"
        site.settings.close(session, PAGE)
        site.settings.open(session)
        broken.write_text("nonsense;\n")
        with pytest.raises(BalancerError, match=r"(?s)lb2.*nonsense"):
            site.settings.close(session, PAGE)
        assert not site.settings.closed(session) and site.ask().status == 200
        broken.unlink()
        site.settings.close(session, PAGE)
        other.stop()
        with pytest.raises(BalancerError, match="lb2"):
            replace(site.settings, effect_within=0.5).open(session)
        assert site.ask().status == 503, "one door open and the other unknown"
    finally:
        other.stop()
