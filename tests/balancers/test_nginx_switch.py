"""Which way nginx is switched, what proves it, and that every failure leaves the colour of before."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.balancers.nginx import Nginx
from dojo_deploy.errors import BalancerError, FencedError, UnsettledError
from dojo_deploy.interfaces import Backend

from .elsewhere import second_host
from .local import BINARY, LocalSession, RunningNginx, Upstream, free_port, inventory, pool

SCOPE = "shop-test"
Colour = tuple[Backend, ...]


class Site:
    """Blue serves. `flips`: this nginx is switched by a file."""

    def __init__(self, running: RunningNginx, blue: Colour, green: Colour, *, flips: bool) -> None:
        self.running, self.blue, self.green, self.flips = running, blue, green, flips
        running.start()
        self.settings = running.settings(SCOPE, effect_within=4.0)
        self.session = LocalSession(inventory("shop", self.settings))
        self.settings.switch(self.session, blue, green)
        self.settings.settle(self.session, 10.0)

    @property
    def serving(self) -> set[Backend]:
        return set(self.settings.serving(self.session, (*self.blue, *self.green)))

    def names(self, number: int = 6) -> set[str]:
        answers = [self.settings.answer(self.session, "/") for _ in range(number)]
        return {answer.release for answer in answers if answer}


@pytest.fixture(params=["reload", "flag"])
def site(request: pytest.FixtureRequest, upstreams: list[Upstream], greens: list[Upstream]) -> Site:
    running: RunningNginx = request.getfixturevalue({"reload": "nginx", "flag": "old_nginx"}[request.param])
    return Site(running, pool(upstreams), pool(greens, "green"), flips=request.param == "flag")


@pytest.fixture
def flipping(old_nginx: RunningNginx, upstreams: list[Upstream], greens: list[Upstream]) -> Site:
    return Site(old_nginx, pool(upstreams), pool(greens, "green"), flips=True)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def test_only_an_nginx_that_cuts_connections_keeps_its_workers_over_a_switch(site: Site) -> None:
    before = site.running.workers()
    site.settings.switch(site.session, site.green, site.blue)
    assert (site.running.workers() == before) == site.flips
    assert site.serving == set(site.green) and site.names() == {"r2"}


def test_a_flip_outlives_a_restart_of_nginx(flipping: Site) -> None:
    flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    flipping.running.stop()
    flipping.running.start()
    assert flipping.serving == set(flipping.green) and flipping.names() == {"r2"}
    flipping.settings.switch(flipping.session, flipping.blue, flipping.green)
    assert flipping.serving == set(flipping.blue) and flipping.names() == {"r1"}


def test_a_colour_that_does_not_listen_is_noticed_and_put_back(site: Site) -> None:
    site.settings.switch(site.session, site.green, site.blue)
    deaf = tuple(replace(one, address=f"127.0.0.1:{free_port()}") for one in site.blue)
    for colour in (deaf, site.green, deaf):
        if colour == site.green:
            site.settings.switch(site.session, colour, site.blue)
        else:
            with pytest.raises(BalancerError, match=r"lb1: /health is answered 502 by .*, and should be by") as caught:
                site.settings.switch(site.session, colour, site.green)
            assert "not put back" not in str(caught.value)
        assert site.serving == set(site.green) and site.names() == {"r2"}


def test_a_flip_to_a_colour_that_died_is_put_back(flipping: Site, upstreams: list[Upstream]) -> None:
    flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    for upstream in upstreams:
        upstream.stop()
    workers = flipping.running.workers()
    with pytest.raises(BalancerError, match="answered 502"):
        flipping.settings.switch(flipping.session, flipping.blue, flipping.green)
    assert flipping.running.workers() == workers
    assert flipping.serving == set(flipping.green) and flipping.names() == {"r2"}
    flipping.settings.settle(flipping.session, 10.0)


def test_a_switch_that_answers_0_and_is_not_in_effect_is_noticed_and_put_back(
    nginx: RunningNginx, taken: int, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    site = Site(nginx, pool(upstreams), pool(greens, "green"), flips=False)
    extra = nginx.folder / "sites" / "taken.conf"
    extra.write_text(f"server {{ listen 127.0.0.1:{taken}; }}\n")
    with pytest.raises(BalancerError, match=r"(?s)not in effect.*\[emerg\].*bind\(\).*in use") as caught:
        replace(site.settings, effect_within=1.0).switch(site.session, site.green, site.blue)
    assert "not put back" not in str(caught.value)
    assert site.serving == set(site.blue) and site.names() == {"r1"}
    site.settings.switch(site.session, site.blue, site.green)  # as the run does that undoes it
    assert site.serving == set(site.blue) and site.names() == {"r1"}
    extra.unlink()
    nginx.stop()
    nginx.start()
    assert site.serving == set(site.blue), "what is written is not what served"
    site.settings.switch(site.session, site.green, site.blue)
    assert site.serving == set(site.green)


def test_a_flag_that_nginx_does_not_see_is_noticed_and_put_back(flipping: Site) -> None:
    server = flipping.running.folder / "dojo" / SCOPE / "server" / "dojo.conf"
    text = server.read_text()
    # As if its workers could not read the folder: root may read everything.
    server.write_text(text.replace("if (-f $dojo_shop_test_flag)", "if (-f /nowhere)"))
    flipping.running.stop()
    flipping.running.start()
    with pytest.raises(BalancerError, match="is answered 200 by") as caught:
        flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    assert "not put back" not in str(caught.value)
    assert flipping.serving == set(flipping.blue)
    assert list((server.parents[1] / "flags").iterdir()) == []


def test_a_site_that_hides_who_answers_is_not_switched(flipping: Site) -> None:
    conf = flipping.running.folder / "sites" / f"{SCOPE}.conf"
    conf.write_text(conf.read_text().replace("location / {", "location / { add_header X-Own 1;"))
    flipping.running.stop()
    flipping.running.start()
    with pytest.raises(BalancerError, match="does not say who answers") as caught:
        flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    assert "add_header X-Dojo-Upstream $dojo_shop_test_upstream always;" in caught.value.hint
    assert flipping.serving == set(flipping.blue)
    conf.write_text(conf.read_text().replace("X-Own 1;", "X-Dojo-Upstream $dojo_shop_test_upstream always;"))
    flipping.running.stop()
    flipping.running.start()
    flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    assert flipping.serving == set(flipping.green)


def test_a_run_that_slept_through_a_takeover_switches_nothing(flipping: Site) -> None:
    flipping.session.lease = ("store-a", 8)
    flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    for lease in (("store-a", 7), ("store-a", 3)):
        flipping.session.lease = lease
        with pytest.raises(FencedError, match=f"generation 8 has changed this site, and this is {lease[1]}"):
            flipping.settings.switch(flipping.session, flipping.blue, flipping.green)
    assert flipping.serving == set(flipping.green)
    flipping.session.lease = ("store-a", 9)
    flipping.settings.switch(flipping.session, flipping.blue, flipping.green)
    assert flipping.serving == set(flipping.blue)


@pytest.mark.parametrize("way", ["named", "cached"])
def test_a_site_that_a_flag_cannot_serve_is_switched_by_reload_and_warned(
    tmp_path: Path, debian: Path, upstreams: list[Upstream], greens: list[Upstream], way: str
) -> None:
    http = "open_file_cache max=100; open_file_cache_errors on;" if way == "cached" else ""
    running = RunningNginx(tmp_path / "way", binary=debian, http=http)
    running.site(SCOPE, named=way == "named")
    try:
        site = Site(running, pool(upstreams), pool(greens, "green"), flips=False)
        assert "a switch between colours costs such a reload" in " ".join(site.settings.warnings(site.session))
        for to, away, release in ((site.green, site.blue, "r2"), (site.blue, site.green, "r1")):
            before = running.workers()
            site.settings.switch(site.session, to, away)
            assert running.workers().isdisjoint(before)
            assert site.serving == set(to) and site.names() == {release}
    finally:
        running.stop()


def test_the_other_colour_is_at_hand_after_a_rolling_deployment(
    old_nginx: RunningNginx, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    """Hosts with slots for both: what a restore loads anyway makes the first switch a flip."""
    old_nginx.start()
    settings = old_nginx.settings(SCOPE)
    site = inventory(
        "shop", settings, ports={"blue": [one.port for one in upstreams], "green": [one.port for one in greens]}
    )
    session = LocalSession(site)
    blue, green = site.backends("blue"), site.backends("green")
    for backend in blue:
        settings.restore(session, backend, blue)
    before = old_nginx.workers()
    settings.switch(session, green, blue)
    assert old_nginx.workers() == before
    assert settings.serving(session, (*blue, *green)) == set(green)


def test_a_flag_in_use_is_never_swept_and_an_old_one_is(flipping: Site) -> None:
    flipping.settings.switch(flipping.session, flipping.green, flipping.blue)
    (flag,) = (flipping.running.folder / "dojo" / SCOPE / "flags").iterdir()
    for flags in ({flag}, set()):
        week_ago = time.time() - 7 * 24 * 3600
        os.utime(flag, (week_ago, week_ago))
        flipping.settings.drain(flipping.session, flipping.green[0], flipping.green)
        assert set(flag.parent.iterdir()) == flags, "workers of before the reload look at it to their end"
        assert flipping.serving == set(flipping.green[1:]) and flipping.names() == {"r2"}


def test_three_hundred_hosts_are_written_and_read_back(nginx: RunningNginx) -> None:
    nginx.start()
    settings = nginx.settings(SCOPE)
    session = LocalSession(inventory("shop", settings))
    blue, green = (
        tuple(Backend(f"web{n:03}.shop.example.org", slot, f"127.{part}.{n // 100}.{n % 100}:3000") for n in range(300))
        for part, slot in ((2, "blue"), (3, "green"))
    )
    changes = settings._changes(session, blue)
    changes[0].write("switch", (*(f"up {one.host} {one.address} {one.slot}" for one in blue), "only"))
    changes[0].await_effect(5.0)
    assert settings.serving(session, (*blue, *green)) == set(blue)
    settings.drain(session, blue[7], blue)
    assert settings.serving(session, (*blue, *green)) == {*blue} - {blue[7]}


def test_an_answer_names_its_backend_as_the_inventory_does(old_nginx: RunningNginx, upstreams: list[Upstream]) -> None:
    old_nginx.start()
    settings = old_nginx.settings(SCOPE)
    site = inventory("shop", settings, ports={"blue": [one.port for one in upstreams]}, address="localhost")
    session = LocalSession(site)
    settings.switch(session, site.backends("blue"), ())
    answers = [settings.answer(session, "/health") for _ in range(9)]
    assert {answer.upstream for answer in answers if answer} == {f"localhost:{one.port}" for one in upstreams}


def test_a_backend_named_by_its_host_name_is_known_by_its_address(flipping: Site) -> None:
    named = tuple(replace(one, address=one.address.replace("127.0.0.1", "localhost4.test")) for one in flipping.green)
    with pytest.raises(BalancerError, match="host not found"):
        flipping.settings.switch(flipping.session, named, flipping.blue)
    assert flipping.serving == set(flipping.blue)
    named = tuple(replace(one, address=one.address.replace("127.0.0.1", "localhost")) for one in flipping.green)
    flipping.settings.switch(flipping.session, named, flipping.blue)
    flipping.settings.switch(flipping.session, flipping.blue, named)
    flipping.settings.settle(flipping.session, 10.0)
    assert flipping.serving == set(flipping.blue)


def test_a_request_under_way_ends_well_and_settling_waits_for_it(site: Site, upstreams: list[Upstream]) -> None:
    statuses: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", site.running.ports[SCOPE], timeout=10)
        connection.request("GET", "/slow")
        statuses.append(connection.getresponse().status)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 5
    while not any(one.seen["/slow"] for one in upstreams) and time.monotonic() < deadline:
        time.sleep(0.01)
    site.settings.switch(site.session, site.green, site.blue)
    site.settings.settle(site.session, 10.0)
    thread.join(0.5)
    assert statuses == [200]
    before = [one.count for one in upstreams]
    assert site.names(20) == {"r2"} and [one.count for one in upstreams] == before


def test_what_never_ends_fails_settling_in_time(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.running.ports[SCOPE])) as endless:
        endless.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        site.settings.switch(site.session, site.green, site.blue)
        started = time.monotonic()
        with pytest.raises(UnsettledError, match=r"lb1: after 1 s: (requests by the old|connections to what was)"):
            site.settings.settle(site.session, 1.0)
        assert time.monotonic() - started < 3
    assert site.serving == set(site.green)


def test_a_kept_alive_connection_is_answered_by_the_new_colour_once_settled(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.running.ports[SCOPE], 5)

    def release() -> str:
        connection.request("GET", "/")
        return str(json.loads(connection.getresponse().read())["release"])

    assert release() == "r1"
    site.settings.switch(site.session, site.green, site.blue)
    if site.flips:
        assert release() == "r2", "a flag is read anew for each request"
    settling = threading.Thread(target=site.settings.settle, args=(site.session, 10.0))
    settling.start()
    while settling.is_alive():
        release()
        time.sleep(0.05)
    assert release() == "r2"
    connection.close()


@pytest.mark.parametrize(("family", "address"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_settling_sees_the_connections_of_either_family(tmp_path: Path, family: str, address: str) -> None:
    settings = Nginx(include=str(tmp_path))
    session = LocalSession(inventory("shop", settings))
    (tmp_path / SCOPE).mkdir()
    with socket.socket(getattr(socket, family)) as backend:
        try:
            backend.bind((address, 0))
        except OSError as exc:
            pytest.skip(f"no {family} here: {exc}")
        backend.listen()
        port = backend.getsockname()[1]
        away = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        (tmp_path / SCOPE / ".last").write_text(f"old \naway {away}\n")
        settings.settle(session, 1.0)
        with socket.create_connection((address, port)), pytest.raises(BalancerError, match="to what was taken away: 1"):
            settings.settle(session, 0.0)
        settings.settle(session, 1.0)


def test_all_balancers_switch_or_none_does(site: Site, tmp_path: Path) -> None:
    other = RunningNginx(tmp_path / "n2", binary=Path(site.running.words.split()[0]))
    other.site(SCOPE)
    other.start()
    try:
        session = LocalSession(inventory("shop", site.settings, balancers=("lb1", "lb2")))
        session.shells["lb2"] = second_host(session.inventory.hosts["lb2"], site.running, other, SCOPE)
        both = (*site.blue, *site.green)
        site.settings.switch(session, site.blue, site.green)
        site.settings.switch(session, site.green, site.blue)
        assert site.settings.serving(session, both) == set(site.green)
        (other.folder / "sites" / "broken.conf").write_text("nonsense;\n")
        with pytest.raises(BalancerError, match=r"(?s)lb2.*nonsense"):
            site.settings.switch(session, site.blue, site.green)
        assert site.settings.serving(session, both) == set(site.green)
        (other.folder / "sites" / "broken.conf").unlink()
        other.stop()
        with pytest.raises(BalancerError, match="lb2"):
            site.settings.switch(session, site.blue, site.green)
        assert site.serving == set(site.green) and site.names() == {"r2"}
    finally:
        other.stop()


@pytest.mark.parametrize("words", ["-T", "-s reload"])
def test_a_switch_killed_between_write_and_reload_is_right_when_repeated(
    nginx: RunningNginx, upstreams: list[Upstream], greens: list[Upstream], tmp_path: Path, words: str
) -> None:
    site = Site(nginx, pool(upstreams), pool(greens, "green"), flips=False)
    wrapper, count = tmp_path / "killer", tmp_path / "count"
    victims = "$(ps -o ppid= -p $PPID) $PPID" if words == "-T" else "$PPID"
    wrapper.write_text(
        f'#!/bin/sh\nif [ "$*" = "{words}" ]; then\n  echo x >>{count}\n'
        f"  [ $(wc -l <{count}) -lt {2 if words == '-T' else 1} ] || {{ kill -9 {victims}; exit 1; }}\n"
        f'fi\nexec {nginx.words} "$@"\n'
    )
    wrapper.chmod(0o755)
    with pytest.raises(BalancerError):
        replace(site.settings, nginx=str(wrapper)).switch(site.session, site.green, site.blue)
    assert site.serving == set(site.blue), "what is written is not what is served"
    site.settings.switch(site.session, site.green, site.blue)
    assert site.serving == set(site.green) and site.names() == {"r2"}


def test_a_current_nginx_that_was_not_told_to_keep_connections_is_switched_by_a_flag(
    tmp_path: Path, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    running = RunningNginx(tmp_path / "careless", binary=BINARY, keepalive="")
    running.site(SCOPE)
    try:
        site = Site(running, pool(upstreams), pool(greens, "green"), flips=True)
        before = running.workers()
        site.settings.switch(site.session, site.green, site.blue)
        assert running.workers() == before and site.names() == {"r2"}
    finally:
        running.stop()
