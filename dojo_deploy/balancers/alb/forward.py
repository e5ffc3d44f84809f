"""A forward action and its target groups: how much each gets, and who of a group gets requests. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from dojo_deploy.balancers.alb.api import Row, Target
from dojo_deploy.errors import BalancerError, RefusedError

State = Mapping[Target, tuple[str, str]]
GONE = ("unused", "unavailable", "")


def weights(actions: Iterable[Row]) -> dict[str, int]:
    """Target group -> its share, in the order that the action has them. Raises BalancerError: nothing is forwarded."""
    action = _forward(actions)
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}


def only(actions: Iterable[Row], group: str, idle: Iterable[str]) -> tuple[Row, ...]:
    """The same actions with all of the traffic on `group`; `idle` ones stay in, at 0, so that their health is known.

    Raises RefusedError when a target group that is none of these has a share.
    """
    now = weights(actions)
    ours = (group, *idle)
    stranger = next((arn for arn, share in now.items() if share and arn not in ours), "")
    if stranger:
        raise RefusedError(
            f"a share of the traffic goes to {short(stranger)}, which the inventory does not name",
            hint="set its weight to 0 first, or name it in the balancer's `groups`",
        )
    whole = sum(now.values()) or 1
    return reweighed(actions, {**dict.fromkeys((*now, *ours), 0), group: whole})


def joined(actions: Iterable[Row], groups: Iterable[str]) -> tuple[Row, ...]:
    """The same actions with `groups` in, at 0 where they were not: Amazon asks only those for their health."""
    return reweighed(actions, {**dict.fromkeys(groups, 0), **weights(actions)})


def reweighed(actions: Iterable[Row], shares: Mapping[str, int]) -> tuple[Row, ...]:
    """The same actions with these shares; what else they do, and how sticky they are, stays."""
    changed = []
    for action in sendable(actions):
        if action["Type"] == "forward":
            action.pop("TargetGroupArn", None)
            groups = [{"TargetGroupArn": arn, "Weight": share} for arn, share in shares.items()]
            action["ForwardConfig"] = {**action.get("ForwardConfig", {}), "TargetGroups": groups}
        changed.append(action)
    return tuple(changed)


def sendable(actions: Iterable[Row]) -> tuple[Row, ...]:
    """As they can be sent back: Amazon never tells a secret, and wants to hear that it is still the same."""
    copied = copy.deepcopy(tuple(actions))
    for action in copied:
        if action["Type"] == "authenticate-oidc":
            action["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
    return copied


def sticky_seconds(actions: Iterable[Row]) -> int:
    """For how long a client stays with a target group that has lost its share; 0: not at all."""
    found = _forward(actions).get("ForwardConfig", {}).get("TargetGroupStickinessConfig") or {}
    return int(found.get("DurationSeconds", 0)) if found.get("Enabled") else 0


def served(state: State) -> frozenset[Target]:
    """Who gets new requests: the healthy ones, or, when there is none, all that fail their check."""
    healthy = {target for target, (said, _) in state.items() if said == "healthy"}
    return frozenset(healthy or (target for target, (said, _) in state.items() if said == "unhealthy"))


def registered(state: State) -> frozenset[Target]:
    return frozenset(target for target, (said, _) in state.items() if said not in GONE and "draining" not in said)


def is_out(state: State, target: Target) -> bool:
    """Neither registered nor draining: Amazon may still tell for a moment what was before."""
    return state.get(target, ("", ""))[0] in GONE


def short(arn: str) -> str:
    """How people call a target group, a listener or a rule."""
    parts = arn.rpartition(":")[2].split("/")
    return parts[1] if parts[0] == "targetgroup" and len(parts) > 1 else "/".join(parts[:3])


def _forward(actions: Iterable[Row]) -> Row:
    found = next((action for action in actions if action["Type"] == "forward"), None)
    if found is None:
        raise BalancerError(
            "the listener or rule forwards nothing", hint="name the one that sends the site's requests on"
        )
    return found
