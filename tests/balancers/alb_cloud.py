"""Amazon's side: moto's server tells what is configured, and an edge of ours sends requests by it.

moto knows no time: a target is healthy at once, gone at once, and known by its address without a port. Here it is
`draining` for the group's deregistration delay, and `initial` for as long as its slow start says, which Amazon means
otherwise, while something forwards to its group.
"""

from __future__ import annotations

import fnmatch
import http.client
import ipaddress
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dojo_deploy.balancers.alb import Alb
from dojo_deploy.secrets import Secret

from .local import free_port

REGION = "eu-central-1"
CLIENT = "127.0.0.1"
DELAY, INITIAL = "deregistration_delay.timeout_seconds", "slow_start.duration_seconds"


class Amazon:
    """moto's server: its address, and what all load balancers share."""

    def __init__(self, endpoint: str, state: int) -> None:
        import boto3

        self.state = state

        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name=REGION)
        self.endpoint = endpoint
        self.elb: Any = session.client("elbv2", endpoint_url=endpoint)
        ec2 = session.client("ec2", endpoint_url=endpoint)
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for number, zone in enumerate("ab")
        ]
        self.numbers = itertools.count()


class Cloud:
    """One load balancer with a target group per colour; `blue` and `green` are their weights, None: not in it."""

    def __init__(self, amazon: Amazon, *, blue: int = 1, green: int | None = 0, delay: int = 0) -> None:
        self.amazon, self.endpoint, self.elb = amazon, amazon.endpoint, amazon.elb
        unique = str(next(amazon.numbers))
        self.arn = self.elb.create_load_balancer(Name=f"lb-{unique}", Subnets=amazon.subnets)["LoadBalancers"][0][
            "LoadBalancerArn"
        ]
        idle = {"Key": "idle_timeout.timeout_seconds", "Value": "1"}
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=[idle])
        self.names = {slot: f"{slot}-{unique}" for slot in ("blue", "green")}
        self.groups = {
            slot: self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=amazon.vpc, TargetType="ip")[
                "TargetGroups"
            ][0]["TargetGroupArn"]
            for slot, name in self.names.items()
        }
        for slot in self.groups:
            self.set(slot, delay=delay)
        shares = {"blue": blue} | ({"green": green} if green is not None else {})
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[_forward({self.groups[slot]: share for slot, share in shares.items()})],
        )["Listeners"][0]["ListenerArn"]

    def set(self, slot: str, *, delay: int | None = None, initial: int | None = None) -> None:
        """Seconds that a target of the slot drains, and that it takes to be healthy."""
        wanted = {DELAY: delay, INITIAL: initial}
        attributes = [{"Key": key, "Value": str(value)} for key, value in wanted.items() if value is not None]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.groups[slot], Attributes=attributes)

    def rule(self, priority: int, conditions: list[dict[str, Any]], shares: dict[str, int]) -> str:
        made = self.elb.create_rule(
            ListenerArn=self.listener, Priority=priority, Conditions=conditions, Actions=[_forward(shares)]
        )
        return str(made["Rules"][0]["RuleArn"])

    def rules(self) -> list[dict[str, Any]]:
        found = self.elb.describe_rules(ListenerArn=self.listener)["Rules"]
        return sorted(found, key=lambda rule: 10**6 if rule["Priority"] == "default" else int(rule["Priority"]))

    def weights(self, arn: str = "") -> dict[str, int]:
        """Slot -> weight."""
        rule = next(rule for rule in self.rules() if rule["RuleArn"] == arn or (not arn and rule["IsDefault"]))
        slots = {group: slot for slot, group in self.groups.items()}
        groups = rule["Actions"][-1]["ForwardConfig"]["TargetGroups"]
        return {slots[group["TargetGroupArn"]]: group["Weight"] for group in groups}

    def health(self, slot: str) -> dict[str, str]:
        """`address:port` -> state, of what is registered or draining."""
        rows = self.elb.describe_target_health(TargetGroupArn=self.groups[slot])["TargetHealthDescriptions"]
        return {f"{row['Target']['Id']}:{row['Target']['Port']}": row["TargetHealth"]["State"] for row in rows}


class Edge:
    """What users reach: for each request the first rule that fits; forwarded by weight to a healthy target.

    `lag`: for so many requests it goes on by the rules that it read last.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.lag = 0
        self.client = CLIENT
        self._turn = itertools.count()
        self._rules = self._state()["rules"]
        outer = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, kind, body = outer.answer(self.path, self.headers.get("Host", ""))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((CLIENT, 0), Answers)
        self.server.daemon_threads = True
        self.url = f"http://{CLIENT}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def settings(self, **more: Any) -> Alb:
        given = {
            "groups": self.cloud.names,
            "front": self.cloud.listener,
            "endpoint": self.cloud.endpoint,
            "url": self.url,
        }
        return Alb(**{"access_key": Secret("cmd", "echo a"), "secret_key": Secret("cmd", "echo b"), **given, **more})

    def answer(self, path: str, host: str) -> tuple[int, str, bytes]:
        state = self._state()
        if self.lag > 0:
            self.lag -= 1
        else:
            self._rules = state["rules"]
        rule = next(rule for rule in self._rules if all(self._fits(one, path, host) for one in rule["conditions"]))
        action = rule["actions"][-1]
        if action["Type"] == "fixed-response":
            fixed = action["FixedResponseConfig"]
            return int(fixed["StatusCode"]), fixed["ContentType"], fixed.get("MessageBody", "").encode()
        for group in action["ForwardConfig"]["TargetGroups"]:
            health = state["health"][group["TargetGroupArn"]] if int(group["Weight"]) else {}
            there = [target for target, said in health.items() if said == "healthy"]
            if there:
                return _proxied(there[next(self._turn) % len(there)], path)
        return 503, "text/html", b"<h1>503 Service Temporarily Unavailable</h1>"

    def _state(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(CLIENT, self.cloud.amazon.state, timeout=5)
        try:
            connection.request("GET", f"/{self.cloud.listener}")
            return dict(json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def _fits(self, condition: dict[str, Any], path: str, host: str) -> bool:
        field = condition["Field"]
        if field == "source-ip":
            client = ipaddress.ip_address(self.client)
            return any(client in ipaddress.ip_network(value) for value in condition["SourceIpConfig"]["Values"])
        if field == "host-header":
            return any(fnmatch.fnmatchcase(host, value) for value in condition["HostHeaderConfig"]["Values"])
        return any(fnmatch.fnmatchcase(path, value) for value in condition["PathPatternConfig"]["Values"])


@contextmanager
def running(folder: Path) -> Iterator[Amazon]:
    """moto's server in a process of its own."""
    port, state = free_port(), free_port()
    log = folder / "moto.log"
    with log.open("w") as file:
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, str(port), str(state)],
            stdout=file, stderr=file, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                for one in (port, state):
                    socket.create_connection((CLIENT, one), timeout=1).close()
                break
            except OSError:
                assert child.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield Amazon(f"http://{CLIENT}:{port}", state)
    finally:
        child.terminate()
        child.wait(20)


def _forward(shares: dict[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": group, "Weight": share} for group, share in shares.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def _proxied(target: str, path: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(target, timeout=5)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()
    except OSError:
        return 502, "text/html", b"<h1>502 Bad Gateway</h1>"
    finally:
        connection.close()


def _serve(port: int, state: int) -> None:
    from moto.elbv2 import models
    from moto.server import ThreadedMotoServer

    group = models.FakeTargetGroup
    began: dict[tuple[str, str, int], float] = {}
    ended: dict[tuple[str, str, int], float] = {}

    def register(self: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            port = int(target.get("Port") or self.port)
            key = (self.arn, target["Id"], port)
            ended.pop(key, None)
            if f"{key[1]}:{port}" not in self.targets:
                began[key] = time.monotonic()
            self.targets[f"{key[1]}:{port}"] = {"Id": target["Id"], "Port": port}

    def deregister(self: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            port = int(target.get("Port") or self.port)
            if self.targets.pop(f"{target['Id']}:{port}", None):
                ended[self.arn, target["Id"], port] = time.monotonic()

    def describe(self: Any, target_group_arn: str, targets: Any, include: Any = None) -> list[Any]:  # noqa: ARG001
        found = self.target_groups[target_group_arn]
        used = any(
            target_group_arn in str([action.data for action in rule.actions])
            for balancer in self.load_balancers.values()
            for listener in balancer.listeners.values()
            for rule in listener.rules.values()
        )
        rows = []
        for one in found.targets.values():
            age = time.monotonic() - began[found.arn, one["Id"], one["Port"]]
            state, why = (
                ("healthy", None)
                if age >= float(found.attributes[INITIAL])
                else ("initial", "Elb.InitialHealthChecking")
            )
            if not used:
                began[found.arn, one["Id"], one["Port"]] = time.monotonic()
                state, why = "unused", "Target.NotInUse"
            rows.append(models.FakeHealthStatus(one["Id"], one["Port"], "traffic-port", state, why))
        for (arn, name, port), since in list(ended.items()):
            delay = float(found.attributes[DELAY])
            if arn == found.arn and time.monotonic() - since < delay:
                why = "Target.DeregistrationInProgress"
                rows.append(models.FakeHealthStatus(name, port, "traffic-port", "draining", why))
        return rows

    group.register, group.deregister = register, deregister
    models.ELBv2Backend.describe_target_health = describe
    server = ThreadedMotoServer(ip_address=CLIENT, port=port, verbose=False)
    server.start()

    class State(BaseHTTPRequestHandler):
        """Everything that an edge needs to know of a listener, in one question."""

        def do_GET(self) -> None:
            (backend,) = (found[REGION] for found in models.elbv2_backends.values() if REGION in found)
            listeners = [one for balancer in backend.load_balancers.values() for one in balancer.listeners.values()]
            (listener,) = (one for one in listeners if one.arn == self.path[1:])
            rules = sorted(listener.rules.values(), key=lambda one: 10**6 if one.is_default else int(one.priority))
            told = [{"conditions": one.conditions, "actions": [act.data for act in one.actions]} for one in rules]
            health = {
                arn: {f"{row.instance_id}:{row.port}": row.status for row in backend.describe_target_health(arn, [])}
                for arn in backend.target_groups
                if arn in str(told)
            }
            body = json.dumps({"rules": told, "health": health}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    ThreadingHTTPServer((CLIENT, state), State).serve_forever(0.05)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
