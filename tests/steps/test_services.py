from __future__ import annotations

from dojo_deploy.inventory import App, Host, Process, Processes
from dojo_deploy.plan import Gate, OnHost, Target
from dojo_deploy.processes.command import CommandLines
from dojo_deploy.release import Placement
from dojo_deploy.steps.services import restart, switch

WEB = Process(port=3000, start="serve", stop="end", running="pids")
APP = App("shop", environment="test", processes=Processes(CommandLines(), {"web": WEB}))
PLACE = Placement(Host("web1", ("web",), "10.0.0.1", "/srv/shop"), "blue", "v2", APP)


def test_a_restart_is_undone_behind_the_gate_of_what_it_restarted() -> None:
    step = restart(PLACE, gate=Gate())
    assert step.undo and step.gate == step.undo.gate
    assert step.gate and step.gate.target == Target("web1", "blue", "v2")
    assert isinstance(step.undo.action, OnHost) and step.undo.action.commands
    assert not step.undo.brings_traffic


def test_a_switch_back_is_held_to_the_release_of_before() -> None:
    step = switch(PLACE, back_to="v1", gate=Gate())
    assert step.undo and step.undo.gate
    assert step.undo.gate.target == Target("web1", "blue", "v1")
    assert "v1" in step.undo.action.preview()[0]


def test_a_first_release_is_undone_by_stopping_it_without_a_gate() -> None:
    step = switch(PLACE, back_to="", gate=Gate())
    assert step.undo and (step.undo.name, step.undo.gate) == ("stop", None)
