"""A changed environment is a release of its own: nothing that runs, or may be gone back to, is written to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from dojo_deploy.inventory import App, Host
from dojo_deploy.plan import OnHost
from dojo_deploy.release import Placement, Release
from dojo_deploy.secrets import Secret
from dojo_deploy.steps.releases import stage, with_environment
from dojo_deploy.strategies.rolling import Rolling
from dojo_deploy.transports.local import LocalShell
from tests.sites import NEW, OLD, fleet, site

APP = App("shop", environment="test", env={"MODE": "live"})


def _place(root: Path, release: str, app: App = APP) -> Placement:
    return Placement(Host("web1", ("web",), "127.0.0.1", str(root)), "blue", release, app)


def _carry(place: Placement, release: Release, donor: str) -> None:
    step = stage(place, release, present=False, donor=donor)
    assert isinstance(step.action, OnHost) and not step.action.artifact
    for command in step.action.commands:
        done = LocalShell().run(command, within=20)
        assert done.ok, done.complaint


def test_the_environment_is_part_of_a_releases_name(tmp_path: Path) -> None:
    def named(token: str) -> Release:
        (tmp_path / token).write_text(token)
        return with_environment(NEW, replace(APP, env={"TOKEN": Secret("file", str(tmp_path / token))}))

    assert named("one") == named("one")
    assert named("one").id.startswith(f"{NEW.id}-")
    assert replace(named("one"), id=NEW.id) == NEW
    assert len({named("one").id, named("two").id, with_environment(NEW, APP).id, NEW.id}) == 4
    assert with_environment(NEW, App("shop")) == NEW


def test_one_artifact_with_another_environment_is_copied_on_the_host_and_the_other_is_left_alone(
    tmp_path: Path,
) -> None:
    donor = _place(tmp_path, "v1").layout.release("v1")
    Path(donor, ".dojo").mkdir(parents=True)
    Path(donor, "server.js").write_text("serve()")
    for name, text in (("complete", "ab\n"), ("env.json", '{"MODE": "old"}'), ("env.sh", "export MODE=old\n")):
        Path(donor, ".dojo", name).write_text(text)
    before = {path: path.read_text() for path in Path(donor).rglob("*") if path.is_file()}

    place = _place(tmp_path, "v1-new")
    _carry(place, Release("v1-new", sha256="ab"), "v1")
    made = Path(place.layout.release("v1-new"))
    assert (made / "server.js").read_text() == "serve()"
    assert (made / "REVISION").read_text() == "v1-new\n"
    assert (made / ".dojo" / "complete").read_text() == "ab\n"
    assert json.loads((made / ".dojo" / "env.json").read_text()) == {"MODE": "live"}
    assert (made / ".dojo" / "env.sh").stat().st_mode & 0o777 == 0o600
    assert {path: path.read_text() for path in before} == before


def test_a_host_that_has_the_artifact_under_another_name_is_sent_nothing() -> None:
    inventory = site(2)
    seen = fleet(inventory, web1={"sha256": {OLD.id: NEW.sha256}})
    plan = Rolling().plan(inventory, NEW, seen)
    prepare = next(found for found in plan.stages if found.name == "prepare")
    sent = {lane.host: lane.steps[0].action.artifact for lane in prepare.lanes}  # type: ignore[union-attr]
    assert sent == {"web1": False, "web2": True}


def test_a_release_that_is_there_as_it_should_be_is_not_staged_again() -> None:
    inventory = site(1)
    seen = fleet(inventory, web1={"sha256": {NEW.id: NEW.sha256}, "releases": (NEW.id,)})
    plan = Rolling().plan(inventory, NEW, seen)
    assert "stage" not in {step.name for _, _, _, step in plan.steps()}
