"""What an ALB's adapter sends to Amazon, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dojo_deploy.balancers.alb import Alb, forward
from dojo_deploy.balancers.alb import page as pages
from dojo_deploy.balancers.alb.api import Api, Front, region_of
from dojo_deploy.balancers.alb.site import Site
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.interfaces import Backend
from dojo_deploy.inventory import Page
from tests.sites import site

BLUE, GREEN, OTHER = (f"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/0f" for name in ("b", "g", "o"))
LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/lb/1/2"
RULE = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/lb/1/2/3"
LOGIN = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"ClientId": "me"}}
STICKY = {"Enabled": True, "DurationSeconds": 600}


def forwarded(*shares: tuple[str, int], **more: Any) -> dict[str, Any]:
    groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in shares]
    return {"Type": "forward", "Order": 2, "ForwardConfig": {"TargetGroups": groups, **more}}


def test_all_of_the_traffic_moves_and_what_else_an_action_does_stays() -> None:
    before = (LOGIN, forwarded((BLUE, 70), (GREEN, 30), TargetGroupStickinessConfig=STICKY))
    login, action = forward.only(before, GREEN, [BLUE])
    assert login["AuthenticateOidcConfig"] == {"ClientId": "me", "UseExistingClientSecret": True}
    assert action == forwarded((BLUE, 0), (GREEN, 100), TargetGroupStickinessConfig=STICKY)
    assert "UseExistingClientSecret" not in LOGIN["AuthenticateOidcConfig"], "what was observed is left as it is"
    assert forward.weights(forward.only((login, action), BLUE, [GREEN])) == {BLUE: 100, GREEN: 0}
    assert forward.sticky_seconds(before) == 600


def test_a_single_group_is_all_of_the_traffic_and_a_new_colour_joins_with_none() -> None:
    plain = ({"Type": "forward", "TargetGroupArn": BLUE},)
    assert forward.weights(plain) == {BLUE: 1}
    (joined,) = forward.joined(plain, [GREEN])
    assert "TargetGroupArn" not in joined and forward.weights([joined]) == {GREEN: 0, BLUE: 1}
    assert forward.weights(forward.only(plain, GREEN, [BLUE])) == {BLUE: 0, GREEN: 1}


def test_a_share_of_a_stranger_is_not_taken_away() -> None:
    with pytest.raises(RefusedError, match="goes to o, which the inventory does not name"):
        forward.only([forwarded((BLUE, 1), (OTHER, 1))], GREEN, [BLUE])
    assert forward.weights(forward.only([forwarded((BLUE, 1), (OTHER, 0))], GREEN, [BLUE]))[OTHER] == 0


def test_sick_targets_get_requests_only_when_all_are() -> None:
    well, ill, new = ("a", 1), ("b", 1), ("c", 1)
    state = {well: ("healthy", ""), ill: ("unhealthy", "Target.Timeout"), new: ("initial", "")}
    assert forward.served(state) == {well}
    assert forward.served({ill: state[ill], new: state[new]}) == {ill}


def test_a_target_is_out_only_when_amazon_says_so() -> None:
    for said, out in (("healthy", False), ("initial", False), ("draining", False), ("unused", True)):
        assert forward.is_out({("a", 1): (said, "")}, ("a", 1)) is out
    assert forward.is_out({}, ("a", 1))


def test_a_page_that_amazon_could_not_show_is_refused() -> None:
    front = Front(LISTENER, LISTENER, (forwarded((BLUE, 1)),))
    for page, match in (
        (Page(body="é" * 513), "1026 bytes"),
        (Page(content_type="image/png"), "image/png"),
        (Page(content_type="text/html; charset=latin-1"), "latin-1"),
        (Page(exempt=("/health*",)), "pattern"),
    ):
        with pytest.raises(RefusedError, match=match):
            pages.closing(page, front)
    assert pages.closing(Page(body="é" * 512), front).number == 1


def test_rules_hold_five_values_each_with_those_of_the_site() -> None:
    host = {"Field": "host-header", "Values": ["shop.example.org"]}
    path = {"Field": "path-pattern", "Values": ["/shop/*"], "PathPatternConfig": {"Values": ["/shop/*"]}}
    front = Front(RULE, LISTENER, (forwarded((BLUE, 1)),), (host, path))
    page = Page(allow=("192.0.2.1", "2001:db8::1", "10.0.0.0/8", "192.0.2.4"), exempt=("/shop/health",))
    closing = pages.closing(page, front)
    first, second = closing.allow
    said = {"Field": "host-header", "HostHeaderConfig": {"Values": ["shop.example.org"]}}
    where = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/*"]}}
    assert first["Conditions"][:2] == [said, where], "simple values are told once"
    networks = [rule["Conditions"][2]["SourceIpConfig"]["Values"] for rule in (first, second)]
    assert networks == [["192.0.2.1/32", "2001:db8::1/128", "10.0.0.0/8"], ["192.0.2.4/32"]]
    (exempt,) = closing.exempt
    assert exempt["Conditions"] == [said, {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/health"]}}]
    assert closing.page["Conditions"] == [said, where] and closing.number == 4


def test_the_page_comes_before_everybody_elses_rules() -> None:
    rules = [{"Priority": number, "RuleArn": f"r{number}"} for number in ("2", "3", "7", "default")]
    assert pages.numbers(rules, ["r2", "r3"], 3) == (1, 4, 5)
    with pytest.raises(RefusedError, match="2 rules before the listener's first, which has priority 2"):
        pages.numbers(rules, [], 2)
    assert pages.numbers([{"Priority": "default", "RuleArn": "d"}], [], 2) == (1, 2)


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"front": "my-listener"}, "front: wants the ARN of a listener"),
        ({"front": LISTENER.replace("/app/", "/net/")}, "front: wants the ARN"),
        ({"groups": {"green": "g"}}, "groups: wants a target group for blue"),
        ({"groups": {"blue": "b", "red": "r"}}, "groups: wants"),
        ({"groups": {"blue": "b", "green": "b"}}, "groups: each colour wants a target group of its own"),
    ],
)
def test_settings_that_cannot_be_are_found_in_the_file(keys: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        site(balancer={"kind": "alb", "groups": {"blue": "b"}, "front": LISTENER, **keys})


def test_colours_are_switched_only_where_both_have_a_target_group() -> None:
    assert not Alb({"blue": "b"}, LISTENER).can_switch
    assert Alb({"blue": "b", "green": "g"}, RULE).can_switch
    assert region_of("shop", RULE) == "eu-west-1" and region_of("shop") == ""


def test_a_preview_names_groups_hosts_and_deadlines() -> None:
    alb, backend = Alb({"blue": "b", "green": "g"}, LISTENER), Backend("web1", "green", "10.0.0.1:80")
    assert alb.preview("drain", backend) == (
        "g: deregister-targets web1 10.0.0.1:80, for the target group's deregistration delay, at most 330 s",
    )
    assert alb.preview("switch", backend)[1] == (
        "listener/app/lb: forwards all to g, the other target group stays in with weight 0"
    )


def test_a_label_names_the_instance_and_without_one_it_is_the_address() -> None:
    inventory = site(2, balancer={"kind": "alb", "groups": {"blue": "b"}, "front": LISTENER})
    changes: dict[str, Any] = {"web1": {"labels": {"target": "i-0123"}}, "web2": {"upstream": "10.1.0.2"}}
    hosts = {name: replace(host, **changes.get(name, {})) for name, host in inventory.hosts.items()}
    inventory = replace(inventory, hosts=hosts)
    session: Any = SimpleNamespace(inventory=inventory)
    there = Site(session, Api(None), LISTENER, {"blue": BLUE}, "target")
    assert [there.target(one) for one in inventory.backends("blue")] == [("i-0123", 3000), ("10.1.0.2", 3000)]
