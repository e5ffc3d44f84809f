"""Batches and `max_failures` on three hosts, as documented."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dojo_deploy.config import load_strategy
from dojo_deploy.events import StageStarted
from dojo_deploy.strategies import Hook, Rolling
from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import Watched, currents, deploying, migrations, rolling, serves

SERIALS = {
    "[1]": [1, 1, 1],
    "[2]": [2, 1],
    "50%": [1, 1, 1],
    '[1, "100%"]': [1, 2],
}
USUAL = ('[1, "100%"]',)


@pytest.mark.parametrize(
    "serial", [pytest.param(serial, marks=() if serial in USUAL else pytest.mark.soak) for serial in SERIALS]
)
def test_batches_are_as_large_as_documented_and_migrate_once(site: Fleet, serial: str) -> None:
    before = migrations(site)

    watched = deploying(site, "v2", batches=serial if serial.startswith("[") else json.dumps([serial]))

    assert watched.result.verdict == "done", watched.output
    assert batches(watched) == SERIALS[serial]
    assert migrations(site) == before + 1
    serves(site, watched.result.release)


def batches(watched: Watched) -> list[int]:
    return [len(event.hosts) for event in watched.of(StageStarted) if event.stage.startswith("batch ")]


def test_a_tolerated_host_is_undone_and_drained_until_the_next_deployment(site: Fleet) -> None:
    old, runs = site.release("v1"), migrations(site)
    broken = Hook('[ "$HOST" != web2 ]', phase="batch", when="after", on="each", name="only web2 fails")

    watched = rolling(site, tolerant(site, broken), "v2")

    left_out(site, watched, old)
    assert migrations(site) == runs + 1
    assert site.invoke("status").returncode == 30
    healed = site.deploy("v2")
    assert healed.verdict == "done", healed.reason
    serves(site, healed.release)


@pytest.mark.soak
def test_a_tolerated_host_that_fails_its_proof_is_left_drained_too(site: Fleet) -> None:
    old = site.release("v1")

    with occupied(site.site.hosts["web2"].port("web", "proof")):
        watched = rolling(site, tolerant(site), "v2")

    left_out(site, watched, old)
    site.reset("v1")
    serves(site, old)


@pytest.mark.soak
def test_one_failure_too_many_undoes_every_host(site: Fleet) -> None:
    old = site.release("v1")
    broken = Hook('[ "$HOST" = web1 ]', phase="batch", when="before", on="each", name="two fail")

    watched = rolling(site, tolerant(site, broken), "v2")

    assert (watched.result.verdict, watched.result.exit_code) == ("rolled back", 20), watched.output
    assert set(currents(site).values()) == {old}
    site.reset("v1")
    serves(site, old)


def tolerant(site: Fleet, *hooks: Hook) -> Rolling:
    values = {**QUICK, "batches": "[1]", "max_failures": "1", "gate.within": "4s", "gate.grace": "500ms"}
    strategy = load_strategy("rolling", site.site, overrides=values)
    assert isinstance(strategy, Rolling)
    return replace(strategy, hooks=hooks)


def left_out(site: Fleet, watched: Watched, old: str) -> None:
    new = watched.result.release
    assert (watched.result.verdict, watched.result.exit_code) == ("tolerated", 30), watched.output
    assert "web2" in watched.result.reason and "max_failures" in watched.warnings
    assert currents(site) == {"web1": new, "web2": old, "web3": new}
    drained = {host: row["balancer"] for host, row in site.census().rows.items()}
    assert drained == {"web1": "serving", "web2": "drained", "web3": "serving"}
    assert set(site.answers()) == {new}


@contextlib.contextmanager
def occupied(port: int) -> Iterator[None]:
    """Somebody else's process has the port."""
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield
