from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.balancers.nginx import Nginx
from dojo_deploy.errors import BalancerError, ConfigError, FencedError, RefusedError
from dojo_deploy.interfaces import Backend

from .elsewhere import second_host
from .local import LocalSession, RunningNginx, Upstream, free_port, inventory, pool

SCOPE = "shop-test"
Site = tuple[Nginx, LocalSession, tuple[Backend, ...]]


@pytest.fixture
def site(nginx: RunningNginx, upstreams: list[Upstream]) -> Site:
    """All three backends serve."""
    nginx.start()
    settings = nginx.settings(SCOPE, effect_within=4.0)
    session = LocalSession(inventory("shop", settings))
    backends = pool(upstreams)
    for backend in backends:
        settings.restore(session, backend, backends)
    return settings, session, backends


def test_a_third_partys_broken_include_is_refused_in_nginxs_words_and_nothing_changes(
    site: Site, nginx: RunningNginx
) -> None:
    settings, session, backends = site
    before = written(nginx)
    broken = nginx.folder / "dojo" / "other.conf"
    broken.write_text("upstream broken {\n")
    with pytest.raises(BalancerError, match=r"(?s)nothing was changed.*\[emerg\].*other\.conf"):
        settings.drain(session, backends[0], backends)
    broken.unlink()
    assert written(nginx) == before
    assert settings.drained(session, backends) == set()
    settings.drain(session, backends[0], backends)
    assert settings.drained(session, backends) == {"web1"}


def test_a_change_that_nginx_refuses_is_taken_back(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    before = written(nginx)
    with pytest.raises(BalancerError, match=r"(?s)refused the change.*\[emerg\].*invalid port"):
        settings.restore(session, replace(backends[0], address="127.0.0.1:99999"), backends)
    assert written(nginx) == before
    assert settings.drained(session, backends) == set()


def test_a_reload_that_answers_0_and_is_not_in_effect_is_noticed_and_put_back(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        extra = nginx.folder / "sites" / "taken.conf"
        extra.write_text(f"server {{ listen 127.0.0.1:{taken.getsockname()[1]}; }}\n")
        with pytest.raises(BalancerError, match=r"(?s)not in effect.*\[emerg\].*bind\(\).*in use") as caught:
            replace(settings, effect_within=1.0).drain(session, backends[0], backends)
        assert "not put back" not in str(caught.value)
        assert settings.drained(session, backends) == set()
        assert " down;" not in line(nginx, "web1")
    extra.unlink()
    settings.drain(session, backends[0], backends)
    assert settings.drained(session, backends) == {"web1"}


def test_a_run_that_slept_through_a_takeover_changes_nothing(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    session.lease = ("store-a", 7)
    settings.drain(session, backends[0], backends)
    session.lease = ("store-a", 8)
    settings.restore(session, backends[0], backends)
    before = written(nginx)
    session.lease = ("store-a", 7)
    for change in (settings.drain, settings.restore):
        with pytest.raises(FencedError, match="generation 8 has changed this site, and this is 7"):
            change(session, backends[0], backends)
    assert written(nginx) == before
    assert settings.drained(session, backends) == set()
    for lease in (("store-a", 8), ("store-b", 1), ("", 0)):
        session.lease = lease
        settings.drain(session, backends[1], backends)
        settings.restore(session, backends[1], backends)


def test_the_pool_cannot_be_emptied(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    settings.drain(session, backends[0], backends)
    settings.drain(session, backends[1], backends)
    before = written(nginx)
    with pytest.raises(RefusedError, match="without a backend"):
        settings.drain(session, backends[2], backends)
    assert written(nginx) == before
    assert settings.drained(session, backends) == {"web1", "web2"}


def test_a_host_outside_the_pool_does_not_make_a_drain_safe(site: Site) -> None:
    settings, session, backends = site
    with pytest.raises(RefusedError):
        settings.drain(session, backends[0], backends[:1])


def test_a_drain_returns_after_the_last_request_and_that_request_succeeds(
    site: Site, nginx: RunningNginx, upstreams: list[Upstream]
) -> None:
    settings, session, backends = site
    statuses: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", nginx.ports[SCOPE], timeout=10)
        connection.request("GET", "/slow")
        statuses.append(connection.getresponse().status)

    thread = threading.Thread(target=ask)
    thread.start()
    busy = None
    deadline = time.monotonic() + 5
    while busy is None and time.monotonic() < deadline:
        busy = next((number for number, one in enumerate(upstreams) if one.seen["/slow"]), None)
    assert busy is not None
    settings.drain(session, backends[busy], backends)
    thread.join(0.3)
    assert statuses == [200]


def test_a_drain_that_cannot_complete_is_put_back_and_says_why(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    with socket.create_connection(("127.0.0.1", nginx.ports[SCOPE])) as endless:
        # An upload that never ends: what a websocket looks like to the worker that holds it.
        endless.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nstart")
        time.sleep(0.1)
        with pytest.raises(BalancerError, match=r"still run after 1 s") as caught:
            replace(settings, drain_within=1.0).drain(session, backends[0], backends)
        assert "worker_shutdown_timeout" in caught.value.hint
    assert settings.drained(session, backends) == set()


def test_what_cannot_be_put_back_is_said(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site

    def break_it_once_drained() -> None:
        deadline = time.monotonic() + 10
        while not settings.drained(session, backends) and time.monotonic() < deadline:
            time.sleep(0.02)
        (nginx.folder / "sites" / "broken.conf").write_text("nonsense;\n")

    breaker = threading.Thread(target=break_it_once_drained)
    with socket.create_connection(("127.0.0.1", nginx.ports[SCOPE])) as endless:
        endless.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nstart")
        time.sleep(0.1)
        breaker.start()
        with pytest.raises(BalancerError, match=r"(?s)still run after 2 s.*not put back: lb1: .*nonsense"):
            replace(settings, drain_within=2.0).drain(session, backends[0], backends)
        breaker.join(10)
    assert settings.drained(session, backends) == {"web1"}
    assert " down;" not in line(nginx, "web1"), "the next reload would keep it out"


def test_two_applications_on_one_nginx_do_not_meet(nginx: RunningNginx, upstreams: list[Upstream]) -> None:
    nginx.site("blog-test")
    nginx.start()
    backends = pool(upstreams)
    sites = []
    for app in ("shop", "blog"):
        settings = nginx.settings(f"{app}-test")
        session = LocalSession(inventory(app, settings))
        for backend in backends:
            settings.restore(session, backend, backends)
        sites.append((settings, session))
    (shop, shop_session), (blog, blog_session) = sites
    shop.drain(shop_session, backends[0], backends)
    blog.drain(blog_session, backends[1], backends)
    assert shop.drained(shop_session, backends) == {"web1"}
    assert blog.drained(blog_session, backends) == {"web2"}


def test_writers_of_several_controllers_at_once_all_succeed(site: Site) -> None:
    settings, _, backends = site
    failures: list[BaseException] = []

    def change(number: int) -> None:
        session = LocalSession(inventory("shop", settings))
        try:
            for _ in range(3):
                settings.drain(session, backends[number], backends)
                settings.restore(session, backends[number], backends)
            if number == 0:
                settings.drain(session, backends[number], backends)
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=change, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert settings.drained(LocalSession(inventory("shop", settings)), backends) == {"web1"}


@pytest.mark.parametrize(
    ("words", "calls", "victims"), [("-T", 2, "$(ps -o ppid= -p $PPID) $PPID"), ("-s reload", 1, "$PPID")]
)
def test_a_change_killed_between_write_and_reload_is_right_when_repeated(
    site: Site, nginx: RunningNginx, tmp_path: Path, words: str, calls: int, victims: str
) -> None:
    settings, session, backends = site
    wrapper, count = tmp_path / "killer", tmp_path / "count"
    # The second -T is the one after the files were written; it runs in a subshell of the script.
    wrapper.write_text(
        f'#!/bin/sh\nif [ "$*" = "{words}" ]; then\n  echo x >>{count}\n'
        f"  [ $(wc -l <{count}) -lt {calls} ] || {{ kill -9 {victims}; exit 1; }}\n"
        f'fi\nexec {nginx.words} "$@"\n'
    )
    wrapper.chmod(0o755)
    broken = replace(settings, nginx=str(wrapper))
    with pytest.raises(BalancerError):
        broken.drain(session, backends[0], backends)
    assert " down;" in line(nginx, "web1"), "the kill came too early to show anything"
    assert settings.drained(session, backends) == set(), "what is written is not what is served"
    settings.drain(session, backends[0], backends)
    assert settings.drained(session, backends) == {"web1"}
    settings.restore(session, backends[0], backends)
    assert settings.drained(session, backends) == set()


def test_nginx_that_does_not_run_is_an_error_and_leaves_the_files_alone(
    nginx: RunningNginx, upstreams: list[Upstream]
) -> None:
    settings = nginx.settings(SCOPE)
    session, backends = LocalSession(inventory("shop", settings)), pool(upstreams)
    before = written(nginx)
    with pytest.raises(BalancerError, match="pid"):
        settings.restore(session, backends[0], backends)
    assert written(nginx) == before
    with pytest.raises(BalancerError, match="does not answer"):
        settings.drained(session, backends)


def test_a_site_that_does_not_include_us_is_told_which_line_is_missing(
    nginx: RunningNginx, upstreams: list[Upstream]
) -> None:
    nginx.site(SCOPE, named=True)
    conf = nginx.folder / "sites" / f"{SCOPE}.conf"
    conf.write_text("".join(line for line in conf.read_text().splitlines(True) if "/server/*" not in line))
    nginx.start()
    settings = nginx.settings(SCOPE, effect_within=0.5)
    session, backends = LocalSession(inventory("shop", settings)), pool(upstreams)
    with pytest.raises(BalancerError) as caught:
        settings.restore(session, backends[0], backends)
    assert f"{SCOPE}/server/*.conf" in caught.value.hint
    assert " down;" in line(nginx, "web1")


def test_strangers_see_neither_the_generation_nor_who_answers(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    narrow = replace(settings, trusted=("127.0.0.1",))
    narrow.restore(session, backends[0], backends)
    seen = {}
    for source in ("127.0.0.1", "127.0.0.3"):
        for path in (f"/.dojo/{SCOPE}", "/"):
            connection = http.client.HTTPConnection("127.0.0.1", nginx.ports[SCOPE], 5, source_address=(source, 0))
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            seen[source, path] = (answer.status, "X-Dojo-Upstream" in answer.headers)
            connection.close()
    assert seen["127.0.0.1", f"/.dojo/{SCOPE}"][0] == 200 and seen["127.0.0.1", "/"] == (200, True)
    assert seen["127.0.0.3", f"/.dojo/{SCOPE}"][0] == 404 and seen["127.0.0.3", "/"] == (200, False)


def test_another_slot_of_a_host_replaces_the_one_that_served(site: Site, upstreams: list[Upstream]) -> None:
    settings, session, blue = site
    green = pool(list(reversed(upstreams)), "green")
    green = tuple(replace(one, host=other.host) for one, other in zip(green, blue, strict=True))
    settings.restore(session, green[0], green)
    assert settings.drained(session, blue[:1]) == {"web1"}
    assert settings.drained(session, green[:1]) == set()
    settings.drain(session, blue[0], blue)
    assert settings.drained(session, green[:1]) == set(), "draining blue took green out"


def test_warnings_name_what_would_lose_requests_and_who_is_left_over(tmp_path: Path) -> None:
    careless = RunningNginx(tmp_path / "careless", keepalive="")
    careless.site(SCOPE)
    careful = RunningNginx(tmp_path / "careful", main="worker_shutdown_timeout 20s;")
    careful.site(SCOPE)
    warned = {
        name: " ".join(one.settings(SCOPE).warnings(LocalSession(inventory("shop", one.settings(SCOPE)))))
        for name, one in (("careless", careless), ("careful", careful))
    }
    assert "keepalive_min_timeout 3s;" in warned["careless"] and "worker_shutdown_timeout" in warned["careless"]
    assert warned["careful"] == ""
    conf = careful.folder / "dojo" / f"{SCOPE}.conf"
    conf.write_text(conf.read_text().replace("}", "\n    server 127.0.0.1:9; # web9 blue\n}"))
    settings = careful.settings(SCOPE)
    assert "web9" in " ".join(settings.warnings(LocalSession(inventory("shop", settings))))


@pytest.mark.parametrize(
    ("host", "address"),
    [("web1;", "127.0.0.1:1"), ("../web1", "127.0.0.1:1"), ("web1", "127.0.0.1:1 weight=2"), ("web1", "a;}:1")],
)
def test_nothing_that_nginx_could_read_as_more_than_a_word_is_written(host: str, address: str) -> None:
    settings = Nginx()
    session = LocalSession(inventory("shop", settings))
    with pytest.raises(ConfigError):
        settings.drain(session, Backend(host, "blue", address), ())
    assert session.shells["lb1"].ran == []


def test_a_balancer_asked_in_tls_is_told_to_listen_in_plain_http_too() -> None:
    settings = Nginx(url="https://shop.example.org")
    with pytest.raises(ConfigError, match="plain HTTP") as caught:
        settings.drained(LocalSession(inventory("shop", settings)), ())
    assert "listen 127.0.0.1" in caught.value.hint


def test_an_nginx_that_dies_of_a_reload_leaves_the_files_as_they_were_and_says_so(
    site: Site, nginx: RunningNginx, tmp_path: Path
) -> None:
    settings, session, backends = site
    assert nginx.process
    wrapper = tmp_path / "fatal"
    wrapper.write_text(
        f'#!/bin/sh\nmaster={nginx.process.pid}\n{nginx.words} "$@" || exit\n'
        '[ "$*" != "-s reload" ] || { kill -STOP $master; kill -9 $(ps -o pid= --ppid $master) $master; }\n'
    )
    wrapper.chmod(0o755)
    fatal = replace(settings, nginx=str(wrapper), effect_within=0.5)
    threading.Thread(target=nginx.process.wait, daemon=True).start()
    with pytest.raises(BalancerError, match=r"not in effect.*not put back: .*nginx does not run"):
        fatal.drain(session, backends[0], backends)
    assert " down;" not in line(nginx, "web1")


def test_one_refused_connection_does_not_make_nginx_itself_hide_a_backend(site: Site, nginx: RunningNginx) -> None:
    settings, session, backends = site
    port = free_port()
    late = replace(backends[0], address=f"127.0.0.1:{port}")
    settings.restore(session, late, backends)
    # One kept connection is one worker, and each worker counts failures by itself.
    connection = http.client.HTTPConnection("127.0.0.1", nginx.ports[SCOPE], 5)

    def names(number: int) -> list[str]:
        found = []
        for _ in range(number):
            connection.request("GET", "/")
            found.append(json.loads(connection.getresponse().read())["name"])
        return found

    assert set(names(3)) == {"web2", "web3"}
    started = Upstream("late", port=port)
    try:
        assert "late" in names(3)
    finally:
        started.stop()
        connection.close()


def test_all_balancers_change_or_none_does(nginx: RunningNginx, upstreams: list[Upstream], tmp_path: Path) -> None:
    second = RunningNginx(tmp_path / "n2")
    second.site(SCOPE)
    nginx.start()
    second.start()
    try:
        settings = nginx.settings(SCOPE)
        session = LocalSession(inventory("shop", settings, balancers=("lb1", "lb2")))
        session.shells["lb2"] = second_host(session.inventory.hosts["lb2"], nginx, second, SCOPE)
        backends = pool(upstreams)
        for backend in backends:
            settings.restore(session, backend, backends)
        for one in (nginx, second):
            assert " down;" not in line(one, "web1")
        (second.folder / "sites" / "broken.conf").write_text("nonsense;\n")
        with pytest.raises(BalancerError, match="lb2"):
            settings.drain(session, backends[0], backends)
        assert " down;" not in line(nginx, "web1")
        assert settings.drained(session, backends) == set()
    finally:
        second.stop()


def line(nginx: RunningNginx, host: str) -> str:
    """Of a host, in the upstream that serves unless a flag says otherwise."""
    text = (nginx.folder / "dojo" / f"{SCOPE}.conf").read_text().split("upstream shop_test {")[1].split("}")[0]
    return next(row for row in text.splitlines() if f"# {host} " in row)


def written(nginx: RunningNginx) -> dict[str, str]:
    files = (nginx.folder / "dojo").rglob("*.conf")
    return {str(path): path.read_text() for path in files}
