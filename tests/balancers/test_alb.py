"""An ALB's adapter against moto's server, and an edge that sends requests by what moto was told."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dojo_deploy.balancers.alb import Alb
from dojo_deploy.errors import BalancerError, ConfigError, FencedError, RefusedError
from dojo_deploy.interfaces import Backend, Page

from .alb_cloud import Amazon, Cloud, Edge
from .local import LocalSession, Upstream, inventory, pool


class QuickClock:
    """Sleeps a tenth of what it is asked to, and says that it was all of it."""

    now = staticmethod(time.time)

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:  # noqa: ARG002
        self.slept.append(seconds)
        self._ahead += seconds * 0.9
        time.sleep(seconds * 0.1)


class Site(LocalSession):
    """One application behind one load balancer, with both colours' servers up and registered."""

    def __init__(self, edge: Edge, blue: list[Upstream], green: list[Upstream], **settings: object) -> None:
        self.alb: Alb = edge.settings(**settings)
        super().__init__(inventory("shop", self.alb))
        self.edge, self.cloud = edge, edge.cloud
        self.clock = QuickClock()  # type: ignore[assignment]
        self.blue, self.green = pool(blue), pool(green, "green")
        self.said: list[str] = []
        for backends in (self.blue, self.green):
            targets = [{"Id": "127.0.0.1", "Port": int(one.address.split(":")[1])} for one in backends]
            self.cloud.elb.register_targets(TargetGroupArn=self.cloud.groups[backends[0].slot], Targets=targets)

    def say(self, line: str) -> None:
        self.said.append(line)

    def releases(self, times: int = 6) -> set[str]:
        answers = [self.alb.answer(self, "/health") for _ in range(times)]
        return {f"{answer.status} {answer.release}".strip() for answer in answers if answer}

    @property
    def serving(self) -> frozenset[Backend]:
        return self.alb.serving(self, (*self.blue, *self.green))


@pytest.fixture
def behind(amazon: Amazon) -> Iterator[Edge]:
    one = Edge(Cloud(amazon))
    yield one
    one.stop()


@pytest.fixture
def site(behind: Edge, upstreams: list[Upstream], greens: list[Upstream]) -> Site:
    return Site(behind, upstreams, greens)


def test_a_drain_takes_the_whole_delay_and_says_so(site: Site) -> None:
    site.cloud.set("blue", delay=1)
    began = time.monotonic()
    site.alb.drain(site, site.blue[0], site.blue)
    assert time.monotonic() - began >= 1
    assert site.cloud.health("blue") == {one.address: "healthy" for one in site.blue[1:]}
    assert site.clock.slept and set(site.clock.slept) == {2.0}, "our own interval, not the library's 15 s"
    assert site.said == [f"{site.cloud.names['blue']} drains web1 for 1 s, whether it is busy or not"]
    assert site.alb.drained(site, site.blue) == {"web1"}


def test_a_delay_that_is_longer_than_the_patience_is_refused_before_anything_is_done(site: Site) -> None:
    site.cloud.set("blue", delay=300)
    short = replace(site.alb, drain_within=60)
    with pytest.raises(RefusedError, match="drains for 300 s, and drain_within is 60 s"):
        short.drain(site, site.blue[0], site.blue)
    assert len(site.cloud.health("blue")) == 3
    name = site.cloud.names["blue"]
    assert f"{name}: drains for 300 s, longer than drain_within: no host can be drained" in short.warnings(site)
    told = f"{name}: every drain takes its deregistration delay, 300 s, busy or not: 3 hosts one by one 15 min"
    assert told in site.alb.warnings(site)


def test_two_lanes_cannot_drain_the_last_two_at_once(site: Site) -> None:
    two = site.blue[:2]
    site.alb.drain(site, site.blue[2], site.blue)
    refused: list[str] = []

    def lane(backend: Backend) -> None:
        try:
            site.alb.drain(site, backend, two)
        except RefusedError as exc:
            refused.append(exc.message)

    lanes = [threading.Thread(target=lane, args=(backend,)) for backend in two]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join(30)
    assert len(refused) == 1 and "is the last that serves" in refused[0]
    assert len(site.serving) == 1


def test_restore_waits_until_amazon_calls_it_healthy_or_takes_it_out_again(site: Site) -> None:
    site.alb.drain(site, site.blue[0], site.blue)
    site.cloud.set("blue", initial=1)
    began = time.monotonic()
    site.alb.restore(site, site.blue[0], site.blue)
    assert time.monotonic() - began >= 1 and site.serving == set(site.blue)
    site.alb.drain(site, site.blue[0], site.blue)
    site.cloud.set("blue", initial=600)
    with pytest.raises(BalancerError, match=r"after 4 s 127\.0\.0\.1:\d+ is initial Elb\.InitialHealthChecking"):
        replace(site.alb, healthy_within=4).restore(site, site.blue[0], site.blue)
    assert site.blue[0].address not in site.cloud.health("blue")


def test_a_colour_is_not_restored_beside_the_one_that_serves_but_before_any_does(
    behind: Edge, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    site = Site(behind, upstreams, greens)
    with pytest.raises(RefusedError, match="the traffic goes to blue-"):
        site.alb.restore(site, site.green[0], site.green)
    for one in site.blue:
        site.alb.drain(site, one, ())
    site.alb.restore(site, site.green[0], site.green)
    assert site.cloud.weights() == {"blue": 0, "green": 1}
    assert site.releases() == {"200 r2"}


def test_a_switch_waits_for_health_and_proves_itself_by_the_release(site: Site) -> None:
    site.alb.switch(site, site.green, site.blue)
    assert (site.cloud.weights(), site.serving, site.said) == ({"blue": 0, "green": 1}, set(site.green), [])
    assert site.releases() == {"200 r2"}
    site.edge.lag = 4  # Amazon's own addresses take a moment
    site.alb.switch(site, site.blue, site.green)
    assert site.edge.lag == 0 and site.releases() == {"200 r1"}
    assert site.cloud.weights() == {"blue": 1, "green": 0}


def test_a_switch_that_is_told_done_and_does_not_take_effect_is_put_back(site: Site) -> None:
    site.edge.lag = 10**6
    with pytest.raises(BalancerError, match=r"5 s after the change: answers 200 r1, want r2$"):
        replace(site.alb, effect_within=5).switch(site, site.green, site.blue)
    site.edge.lag = 0
    assert site.cloud.weights() == {"blue": 1, "green": 0} and site.releases() == {"200 r1"}


def test_a_colour_that_does_not_become_healthy_gets_nothing(site: Site) -> None:
    site.cloud.set("green", initial=600)
    with pytest.raises(BalancerError, match="is initial"):
        replace(site.alb, healthy_within=4).switch(site, site.green, site.blue)
    assert site.cloud.weights() == {"blue": 1, "green": 0} and site.serving == set(site.blue)


def test_what_else_is_in_the_colour_is_taken_out_if_it_is_ours_and_refused_if_it_is_not(site: Site) -> None:
    site.alb.switch(site, site.green[:2], (*site.blue, site.green[2]))
    assert site.serving == set(site.green[:2])
    site.cloud.elb.register_targets(
        TargetGroupArn=site.cloud.groups["blue"], Targets=[{"Id": "10.9.9.9", "Port": 3000}]
    )
    with pytest.raises(RefusedError, match=r"would also send requests to 10\.9\.9\.9:3000"):
        site.alb.switch(site, site.blue, site.green)
    assert site.serving == set(site.green[:2])


def test_a_rule_of_a_shared_listener_is_changed_alone(
    behind: Edge, upstreams: list[Upstream], greens: list[Upstream]
) -> None:
    cloud = behind.cloud
    condition = {"Field": "host-header", "HostHeaderConfig": {"Values": ["127.0.0.1:*"]}}
    rule = cloud.rule(20, [condition], {cloud.groups["blue"]: 50, cloud.groups["green"]: 0})
    site = Site(behind, upstreams, greens, front=rule)
    site.alb.switch(site, site.green, site.blue)
    assert (cloud.weights(rule), cloud.weights()) == ({"blue": 0, "green": 50}, {"blue": 1, "green": 0})
    assert site.releases() == {"200 r2"}
    site.alb.close(site, Page(body="closed"))
    assert [one["Conditions"][0]["Field"] for one in cloud.rules()[:-1]] == ["host-header"] * 2
    assert (site.releases(), behind.answer("/", "other.example.org")[0]) == ({"503"}, 200)


def test_answers_that_cannot_tell_the_colours_apart_are_no_proof_and_it_is_said(
    behind: Edge, upstreams: list[Upstream]
) -> None:
    same = [Upstream(one.name, "r1") for one in upstreams]
    site = Site(behind, upstreams, same)
    site.alb.switch(site, site.green, site.blue)
    replace(site.alb, url="").switch(site, site.blue, site.green)
    assert site.said == [
        "proven by Amazon's own word alone: both colours answer the same release",
        "proven by Amazon's own word alone: the inventory has no `url` to ask",
    ]
    assert replace(site.alb, url="").answer(site) is None
    for one in same:
        one.stop()


def test_a_run_that_slept_through_a_takeover_changes_nothing(site: Site) -> None:
    site.lease = ("store-1", 7)
    site.alb.switch(site, site.green, site.blue)
    site.lease = ("store-1", 6)
    for change in (
        lambda: site.alb.switch(site, site.blue, site.green),
        lambda: site.alb.drain(site, site.green[0], site.green),
        lambda: site.alb.close(site, Page()),
    ):
        with pytest.raises(FencedError, match="generation 7 has taken over from 6"):
            change()
    assert site.serving == set(site.green) and not site.alb.closed(site)
    site.lease = ("store-2", 1)
    site.alb.switch(site, site.blue, site.green)


def test_a_page_lets_through_whom_and_what_it_says_and_another_replaces_it_without_a_gap(site: Site) -> None:
    site.edge.client = "192.0.2.7"
    page = Page(body="one", allow=("192.0.2.0/24",), exempt=("/health",))
    with pytest.raises(BalancerError, match="not the page"):
        site.edge.lag = 10**6
        replace(site.alb, effect_within=3).close(site, page)
    site.edge.lag = 0
    assert not site.alb.closed(site) and len(site.cloud.rules()) == 1
    site.alb.close(site, page)
    assert site.alb.closed(site) and "cannot say Retry-After" in site.said[-1]
    seen: set[tuple[int, bytes]] = set()
    assert site.edge.answer("/", "")[0] == 200, "this client is let through"
    site.edge.client = "127.0.0.1"
    assert (site.edge.answer("/", "")[::2], site.edge.answer("/health", "")[0]) == ((503, b"one"), 200)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            seen.add(site.edge.answer("/", "")[::2])

    loader = threading.Thread(target=load)
    loader.start()
    site.alb.close(site, replace(page, body="two", allow=()))
    stop.set()
    loader.join(10)
    assert seen == {(503, b"one"), (503, b"two")}
    site.alb.switch(site, site.green, site.blue)
    assert site.said[-1] == "proven by Amazon's own word alone: the maintenance page is up"
    assert b'"r2"' in site.edge.answer("/health", "")[2], "what passes the page follows the switch"
    for _ in range(2):
        site.alb.open(site)
    assert len(site.cloud.rules()) == 1 and site.releases() == {"200 r2"}


def test_a_page_that_does_not_go_away_is_up_again(site: Site) -> None:
    site.alb.close(site, Page(body="closed", exempt=("/health",)))
    before = [rule["Conditions"] for rule in site.cloud.rules()]
    site.edge.lag = 10**6
    with pytest.raises(BalancerError, match="still answers the page"):
        replace(site.alb, effect_within=3).open(site)
    site.edge.lag = 0
    assert site.alb.closed(site) and [rule["Conditions"] for rule in site.cloud.rules()] == before


def test_a_listener_whose_first_rule_leaves_no_room_is_refused_before_anything_is_done(site: Site) -> None:
    other = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}]
    site.cloud.rule(1, other, {site.cloud.groups["blue"]: 1})
    with pytest.raises(RefusedError, match="1 rules before the listener's first, which has priority 1"):
        site.alb.close(site, Page())
    assert len(site.cloud.rules()) == 2


def test_older_requests_are_waited_for_as_long_as_silence_may_last(site: Site) -> None:
    site.alb.settle(site, 5)
    assert sum(site.clock.slept) >= 1
    idle = {"Key": "idle_timeout.timeout_seconds", "Value": "60"}
    site.cloud.elb.modify_load_balancer_attributes(LoadBalancerArn=site.cloud.arn, Attributes=[idle])
    with pytest.raises(BalancerError, match="the longest silent ones do within 60 s"):
        site.alb.settle(site, 30)


def test_amazons_own_words_are_told_and_no_secret(site: Site) -> None:
    with pytest.raises(BalancerError, match=r"the target group nope could not be found: .*TargetGroupNotFound"):
        replace(site.alb, groups={"blue": "nope"}).serving(site, site.blue)
    with pytest.raises(ConfigError, match=r"balancer\.groups\.proof"):
        site.alb.drain(site, replace(site.blue[0], slot="proof"), ())
    with pytest.raises(
        ConfigError, match=r"web1: a target is an instance's id or an IP address, and not 'web1\.local'"
    ):
        site.alb.serving(site, (replace(site.blue[0], address="web1.local:80"),))
    assert "echo" in repr(site.alb) and "'a'" not in repr(site.alb)
    assert pickle.loads(pickle.dumps(site.alb)) == site.alb, "with its connections open, too"
