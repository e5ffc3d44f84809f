"""Hooks are steps: planned, journalled, undone in reverse, and told of a failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dojo_deploy.config import load_strategy
from dojo_deploy.events import PlanMade, StepFinished
from dojo_deploy.strategies import Hook, Rolling
from tests.e2e.fleet import QUICK, Fleet
from tests.e2e.looking import rolling, serves, told


def test_hooks_run_where_they_say_and_are_undone_in_reverse(site: Fleet, tmp_path: Path) -> None:
    old = site.release("v1")
    diary = tmp_path / "diary"
    on_host = 'echo "{} $HOST $RELEASE" >> "$SHARED_DIR/diary"'
    hooks = (
        Hook(f'echo "open $APP $RELEASE" >> {diary}', name="open", undo=f"echo close >> {diary}"),
        Hook(on_host.format("once"), phase="prepare", when="after", on="once", name="once"),
        Hook(on_host.format("warm"), phase="batch", on="each", name="warm", undo=on_host.format("cool")),
        Hook(f"echo alarm >> {diary}", when="on_failure", name="alarm"),
        Hook("echo no good >&2; exit 7", phase="finish", when="after", on="once", name="last"),
    )
    # Without a migration, which is a point of no return: what began before it is kept.
    strategy = load_strategy("rolling", site.site, overrides={**QUICK, "batches": '["100%"]'})
    assert isinstance(strategy, Rolling)

    watched = rolling(site, replace(strategy, hooks=hooks, migrate=None), "v2", limit="web1,web2")

    result = watched.result
    assert (result.verdict, result.exit_code) == ("rolled back", 20), watched.output
    assert "no good" in watched.output and "last" in result.reason
    assert diary.read_text().splitlines() == [f"open tcgdojo {result.release}", "close", "alarm"]
    wrote = told(site.site, "cat shared/diary 2>/dev/null || cat srv/*/shared/diary 2>/dev/null || true")
    new = result.release
    assert wrote["web1"].splitlines() == [f"once web1 {new}", f"warm web1 {new}", f"cool web1 {new}"]
    assert wrote["web2"].splitlines() == [f"warm web2 {new}", f"cool web2 {new}"]
    assert wrote["web3"] == ""
    planned = str(watched.of(PlanMade)[0].plan)
    assert all(hook.run in planned or hook.name in planned for hook in hooks)
    journalled = {event.name for event in watched.of(StepFinished)}
    assert {"open", "undo open", "once", "before batch: warm", "undo before batch: warm", "alarm", "last"} <= journalled
    serves(site, old)
