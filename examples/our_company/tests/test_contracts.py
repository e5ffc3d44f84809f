"""Ours are held to what theirs are held to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from our_company.deploys import Canary
from our_company.notifiers import Board
from our_company.probes import Room

from dojo_deploy.config import inventory_from_document
from dojo_deploy.strategies import Migrate
from dojo_deploy.testing.notifiers import NotifierContract
from dojo_deploy.testing.probes import ProbeContract
from dojo_deploy.testing.sites import NEW, fleet, site
from dojo_deploy.testing.strategies import StrategyContract


class TestCanary(StrategyContract):
    @pytest.fixture(params=[Canary(), Canary("34%", 60.0, Migrate("npm run migrate"))], ids=["plain", "migrating"])
    def strategy(self, request: pytest.FixtureRequest) -> Canary:
        return request.param

    def test_one_host_is_watched_before_any_other_is_touched(self) -> None:
        inventory = site(5)
        plan = Canary(watch=120).plan(inventory, NEW, fleet(inventory))
        batches = [stage for stage in plan.stages if stage.phase == "batch"]
        assert [len(stage.lanes) for stage in batches] == [1, 2, 2]
        assert [step.name for step in batches[0].lanes[0].steps][-1] == "bake"
        assert (plan.strategy, plan.notes[-1]) == ("canary", "the canaries are watched for 120 s")


class TestRoom(ProbeContract):
    @pytest.fixture
    def probe(self) -> Room:
        return Room(free=1)

    def is_well_when_nobody_answers(self, probe: Room) -> bool:  # noqa: ARG002
        return True

    def test_too_little_room_is_said(self, machine, target) -> None:
        reading = Room(free=1 << 60).check(machine, target, within=5)
        assert not reading.ok and "MiB free of" in reading.detail


@dataclass
class Hall:
    folder: Path

    @property
    def course(self) -> list[str]:
        (file,) = self.folder.iterdir()
        return [json.loads(line)["status"] for line in file.read_text().splitlines()]

    def down(self) -> None:
        self.folder.rmdir()


class TestBoard(NotifierContract):
    @pytest.fixture
    def far(self, tmp_path: Path) -> Hall:
        (tmp_path / "board").mkdir()
        return Hall(tmp_path / "board")

    @pytest.fixture
    def notifier(self, far: Hall) -> Board:
        return Board(str(far.folder))


def test_an_inventory_names_them() -> None:
    document = {
        "app": {"name": "shop", "environment": "test", "root": "/srv/shop"},
        "hosts": {"web": ["web1"]},
        "probes": {"room": {"kind": "our_company.probes:Room", "free": 1000}},
        "notifiers": {"hall": {"kind": "our_company.notifiers:Board", "folder": "/srv/board"}},
    }
    found = inventory_from_document(document)
    assert found.probes["room"] == Room(free=1000)
    assert found.notifiers["hall"] == Board("/srv/board")
