from __future__ import annotations

import pytest

from dojo_deploy.inventory import App, Host
from dojo_deploy.release import Placement
from dojo_deploy.steps.hooks import Hook, stages

PLACE = Placement(Host("web1", ("web",), "10.0.0.1", "/srv/shop"), "blue", "v2", App("shop", environment="test"))


@pytest.mark.parametrize("on", ["controller", "once", "each"])
def test_a_hook_that_may_run_once_is_undone_as_often_as_it_takes(on: str) -> None:
    hook = Hook("announce", on=on, undo="take it back", idempotent=False)
    ((lane,),) = (stage.lanes for stage in stages([hook], "run", "before", (PLACE,)))
    (step,) = lane.steps
    assert step.undo
    assert (step.action.idempotent, step.undo.action.idempotent) == (False, True)  # type: ignore[union-attr]
