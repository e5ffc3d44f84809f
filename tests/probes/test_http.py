from __future__ import annotations

import time
from dataclasses import replace

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Answer
from dojo_deploy.plan import Target
from dojo_deploy.probes.http import HttpProbe

from .conftest import Machine, Server


def test_a_healthy_answer_of_the_right_release_passes_and_names_its_proof(
    machine: Machine, target: Target, server: Server
) -> None:
    reading = HttpProbe(json={"db.ok": "true"}).check(machine, target, within=2)
    assert reading.ok and reading.proof == "health"
    assert reading.detail.startswith("200, ") and '"release": "r2"' in reading.detail
    assert server.requests[0].startswith(b"GET /health HTTP/1.1\r\n")


def test_a_wrong_release_fails_though_it_is_healthy(machine: Machine, target: Target) -> None:
    reading = HttpProbe().check(machine, replace(target, release="r3"), within=2)
    assert not reading.ok and "answers release r2, want r3" in reading.detail
    assert HttpProbe(release=False).check(machine, replace(target, release="r3"), within=2).ok


def test_an_answer_that_names_no_release_passes_without_a_proof(
    machine: Machine, target: Target, server: Server
) -> None:
    server.serve = server.says(b"fine")
    reading = HttpProbe().check(machine, target, within=2)
    assert reading.ok and reading.proof == ""


def test_a_redirect_fails_and_names_where_it_leads(machine: Machine, target: Target, server: Server) -> None:
    server.serve = server.says(b"", "301 Moved Permanently", "Location: https://shop.example.org/health")
    reading = HttpProbe().check(machine, target, within=2)
    assert not reading.ok and "redirects to https://shop.example.org/health" in reading.detail
    assert len(server.requests) == 1
    assert HttpProbe(status=(301,)).check(machine, target, within=2).ok


@pytest.mark.parametrize(("status", "ok"), [("199 X", False), ("200 OK", True), ("299 X", True), ("503 X", False)])
def test_any_2xx_passes_unless_told_otherwise(
    machine: Machine, target: Target, server: Server, status: str, ok: bool
) -> None:
    server.serve = server.says(b"{}", status) if not status.startswith("1") else server.sends(b"HTTP/1.1 099 X\r\n\r\n")
    assert HttpProbe().check(machine, target, within=2).ok == ok
    assert not HttpProbe(status=(204,)).check(machine, target, within=2).ok


def test_a_field_that_says_something_else_or_nothing_is_named(machine: Machine, target: Target) -> None:
    reading = HttpProbe(json={"db.ok": "false", "cache.ok": "true"}).check(machine, target, within=2)
    assert not reading.ok
    assert "db.ok is true, want false" in reading.detail and "cache.ok is nothing, want true" in reading.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    ],
    ids=["ssh", "nothing", "short", "chunk", "many headers", "long header"],
)
def test_what_is_not_http_is_a_failed_reading(machine: Machine, target: Target, server: Server, answer: bytes) -> None:
    server.serve = server.sends(answer)
    reading = HttpProbe().check(machine, target, within=2)
    assert not reading.ok and reading.detail


def test_slowloris_is_cut_off_at_the_deadline(machine: Machine, target: Target, server: Server) -> None:
    server.serve = server.sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000, each=0.05, by=1)
    started = time.monotonic()
    reading = HttpProbe().check(machine, target, within=0.4)
    assert 0.3 < time.monotonic() - started < 1
    assert not reading.ok and "timed out" in reading.detail


def test_an_endless_body_is_cut_off_at_64_kib(machine: Machine, target: Target, server: Server) -> None:
    server.serve = server.sends(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000)
    reading = HttpProbe().check(machine, target, within=2)
    assert reading.ok and len(reading.detail) < 260


def test_control_characters_of_an_answer_are_escaped(machine: Machine, target: Target, server: Server) -> None:
    server.serve = server.says("\x1b]0;owned\x07\u202e\x00".encode())
    detail = HttpProbe().check(machine, target, within=2).detail
    assert detail.isprintable() and "\\x1b]0;owned\\x07\\u202e\\x00" in detail


def test_a_closed_port_is_a_failed_reading(machine: Machine, target: Target, server: Server) -> None:
    server.stop()
    assert "refused" in HttpProbe().check(machine, target, within=2).detail.lower()


def test_a_slot_without_a_port_is_a_mistake_in_the_configuration(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="no port in slot green"):
        HttpProbe().check(machine, Target("web1", "green", "r2"), within=1)


class Rounds:
    """A balancer of two hosts that answers in turn."""

    can_drain = True

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.asked = 0

    def answer(self, session: object, path: str = "/", *, within: float = 10.0) -> Answer:  # noqa: ARG002
        assert 0 < within <= 2
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]


def test_through_the_balancer_only_the_targets_own_answer_is_its_reading(
    machine: Machine, server: Server, target: Target
) -> None:
    ours = f"127.0.0.1:{server.port}"
    balancer = Rounds(Answer(200, "10.0.0.9:1", body=b'{"release":"r1"}'), Answer(200, ours, body=b'{"release":"r2"}'))
    machine.inventory = replace(machine.inventory, balancer=balancer)  # type: ignore[arg-type]
    reading = HttpProbe().check(machine, replace(target, via="balancer"), within=2)
    assert reading.ok and reading.proof == "upstream" and balancer.asked == 2


def test_a_host_that_gets_no_share_fails_and_the_others_are_named(machine: Machine, target: Target) -> None:
    balancer = Rounds(Answer(200, "10.0.0.9:1"), Answer(200, "10.0.0.8:1"))
    machine.inventory = replace(machine.inventory, balancer=balancer)  # type: ignore[arg-type]
    reading = HttpProbe().check(machine, replace(target, via="balancer"), within=0.3)
    assert not reading.ok and "only of 10.0.0.8:1, 10.0.0.9:1" in reading.detail


def test_an_answer_of_nobody_knows_whom_is_no_proof_against_the_target(machine: Machine, target: Target) -> None:
    balancer = Rounds(Answer(200, "", body=b'{"release":"r1"}'))
    machine.inventory = replace(machine.inventory, balancer=balancer)  # type: ignore[arg-type]

    reading = HttpProbe().check(machine, replace(target, via="balancer", release="r2"), within=2)

    assert reading.ok and reading.proof == "some host"


def test_without_a_balancer_of_ours_the_sites_own_url_is_asked(
    machine: Machine, server: Server, target: Target
) -> None:
    aimed = replace(target, via="balancer")
    assert "nothing to ask" in HttpProbe().check(machine, aimed, within=1).detail
    machine.inventory = replace(machine.inventory, url=f"http://127.0.0.1:{server.port}/shop")
    reading = HttpProbe().check(machine, aimed, within=1)
    assert reading.ok and reading.proof == "health"
