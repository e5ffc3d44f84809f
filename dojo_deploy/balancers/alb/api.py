"""Amazon's Elastic Load Balancing, asked and told; the only module of the balancers that knows boto3."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dojo_deploy.errors import BalancerError, ConfigError
from dojo_deploy.secrets import Secret

CONNECT_SECONDS = 5
READ_SECONDS = 20
ATTEMPTS = 5  # of one request, throttling included; all that is told here can be told twice
LANES = 50  # hosts worked on at once, each with a question of its own
ARN = "arn:"
RULE = ":listener-rule/"
TAGGED_AT_ONCE = 20  # resources in one question for tags

Row = dict[str, Any]
Target = tuple[str, int]


@dataclass(frozen=True)
class Front:
    """What sends the site's requests on: a listener's default action, or a rule's with its conditions."""

    arn: str
    listener: str
    actions: tuple[Row, ...]
    conditions: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Api:
    """All methods raise BalancerError with Amazon's own words; a change that is raised for may have been made."""

    client: Any = field(repr=False)

    def front(self, arn: str) -> Front:
        """The listener, or the rule, of that ARN."""
        if RULE in arn:
            with _told("read", arn):
                (rule,) = self.client.describe_rules(RuleArns=[arn])["Rules"]
            listener = arn.replace(RULE, ":listener/").rpartition("/")[0]
            return Front(arn, listener, tuple(rule["Actions"]), tuple(rule["Conditions"]))
        with _told("read", arn):
            (found,) = self.client.describe_listeners(ListenerArns=[arn])["Listeners"]
        return Front(arn, arn, tuple(found["DefaultActions"]))

    def forward(self, arn: str, actions: Iterable[Row]) -> None:
        with _told("changed", arn):
            if RULE in arn:
                self.client.modify_rule(RuleArn=arn, Actions=list(actions))
            else:
                self.client.modify_listener(ListenerArn=arn, DefaultActions=list(actions))

    def group(self, name: str) -> str:
        """The ARN of a target group, which may be named by it."""
        if name.startswith(ARN):
            return name
        with _told("found", f"the target group {name}"):
            return str(self.client.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"])

    def health(self, group: str) -> dict[Target, tuple[str, str]]:
        """State and reason of each target that is registered, or still draining."""
        with _told("read", group):
            rows = self.client.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        found = {}
        for row in rows:
            health = row.get("TargetHealth", {})
            target = row["Target"]
            found[target["Id"], int(target["Port"])] = (health.get("State", ""), health.get("Reason", ""))
        return found

    def register(self, group: str, targets: Iterable[Target]) -> None:
        with _told("changed", group):
            self.client.register_targets(TargetGroupArn=group, Targets=_described(targets))

    def deregister(self, group: str, targets: Iterable[Target]) -> None:
        with _told("changed", group):
            self.client.deregister_targets(TargetGroupArn=group, Targets=_described(targets))

    def attributes(self, arn: str) -> Mapping[str, str]:
        """Of a target group."""
        with _told("read", arn):
            rows = self.client.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        return {row["Key"]: str(row["Value"]) for row in rows}

    def idle_timeout(self, front: Front) -> float:
        """Seconds after which the load balancer gives up a request on which nothing moves."""
        with _told("read", front.listener):
            (listener,) = self.client.describe_listeners(ListenerArns=[front.listener])["Listeners"]
            arn = listener["LoadBalancerArn"]
            rows = self.client.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        return next((float(row["Value"]) for row in rows if row["Key"] == "idle_timeout.timeout_seconds"), 60.0)

    def rules(self, listener: str) -> tuple[Row, ...]:
        """All rules of the listener, its default one too."""
        with _told("read", listener):
            pages = self.client.get_paginator("describe_rules").paginate(ListenerArn=listener)
            return tuple(rule for page in pages for rule in page["Rules"])

    def add_rule(self, listener: str, priority: int, rule: Row, tags: Mapping[str, str]) -> str:
        with _told("changed", listener):
            made = self.client.create_rule(ListenerArn=listener, Priority=priority, Tags=_tags(tags), **rule)
        return str(made["Rules"][0]["RuleArn"])

    def remove_rule(self, arn: str) -> None:
        with _told("removed", arn):
            self.client.delete_rule(RuleArn=arn)

    def tags(self, arns: Iterable[str]) -> dict[str, dict[str, str]]:
        """ARN -> its tags."""
        wanted, found = list(arns), {}
        for start in range(0, len(wanted), TAGGED_AT_ONCE):
            with _told("read", "tags"):
                some = self.client.describe_tags(ResourceArns=wanted[start : start + TAGGED_AT_ONCE])
            for row in some["TagDescriptions"]:
                found[row["ResourceArn"]] = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
        return found

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        with _told("tagged", arn):
            self.client.add_tags(ResourceArns=[arn], Tags=_tags(tags))


def connect(*, region: str, endpoint: str, access_key: Secret | None, secret_key: Secret | None) -> Api:
    """For any thread. Without keys boto3 looks in its usual places. Raises ConfigError, BalancerError."""
    import boto3
    from botocore.config import Config

    for name in ("botocore", "boto3", "urllib3"):  # at DEBUG they log credentials
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=LANES,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )
    with _told("opened", "Elastic Load Balancing"):
        # A session of its own: boto3.client() would share the process's default one, which is not thread-safe.
        session = boto3.Session(
            aws_access_key_id=access_key.reveal() if access_key else None,
            aws_secret_access_key=secret_key.reveal() if secret_key else None,
            region_name=region or None,
        )
        return Api(session.client("elbv2", endpoint_url=endpoint or None, config=config))


def region_of(*arns: str) -> str:
    """The region that the first ARN names; empty when there is none."""
    return next((arn.split(":")[3] for arn in arns if arn.startswith(ARN) and arn.count(":") > 4), "")


def _described(targets: Iterable[Target]) -> list[Row]:
    return [{"Id": name, "Port": port} for name, port in targets]


def _tags(tags: Mapping[str, str]) -> list[Row]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@contextmanager
def _told(verb: str, what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        yield
    except (NoRegionError, NoCredentialsError) as exc:
        raise ConfigError(f"{what} cannot be {verb}: {exc}", key="balancer", hint="give it a region, and keys") from exc
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        hint = "this machine's clock is wrong by more than 15 minutes" if code == "RequestTimeTooSkewed" else ""
        raise BalancerError(f"{what} could not be {verb}: {exc}", hint=hint) from exc
    except (BotoCoreError, OSError) as exc:
        raise BalancerError(f"{what} could not be {verb}: {exc}") from exc
