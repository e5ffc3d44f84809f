"""What a job of CI is left with: JUnit XML, a summary in Markdown, annotations."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

import pytest

from dojo_deploy.errors import ConfigError
from dojo_deploy.events import Event, GateFailed, RunFinished, RunStarted, StepFinished, UsersServed
from dojo_deploy.reporters import for_ci
from dojo_deploy.reporters.annotations import Annotations
from dojo_deploy.reporters.junit import junit
from dojo_deploy.reporters.markdown import markdown
from dojo_deploy.reporters.plain import Plain
from dojo_deploy.reporters.written import Junit, Summary
from dojo_deploy.runs.conduct import Result
from dojo_deploy.runs.wishes import Wishes
from dojo_deploy.secrets import Redactor
from dojo_deploy.session import OpenSession
from dojo_deploy.tasks.outputs import Outputs
from dojo_deploy.tasks.runs import _leaving, _told

from .junit_schema import problems
from .recordings import STORIES

REFUSED = RunFinished(
    run="", at="2026-11-23T14:48:12.000Z", verdict="refused", exit_code=10, seconds=0, reason="no room"
)


def story(name: str) -> list[Event]:
    return [event for _, event in STORIES[name]()]


@pytest.mark.parametrize("events", [*map(story, STORIES), [REFUSED], []], ids=[*STORIES, "refused", "nothing"])
def test_the_file_keeps_to_the_common_schema(events: Sequence[Event]) -> None:
    assert problems(junit(events)) == []


def test_every_step_and_gate_is_a_case_and_what_failed_says_why() -> None:
    suite = ElementTree.fromstring(junit(story("failing")))[0]
    found = {(case.get("classname"), case.get("name")): case for case in suite.iter("testcase")}

    assert suite.get("name") == "rolling on shop-production" and suite.get("timestamp") == "2026-11-23T14:48:12"
    assert [case.tag for case in found["batch 1", "web1: switch"]] == []
    assert [case.tag for case in found["batch 1", "web1: switch, gate"]] == []
    failed = found["batch 2", "web2: switch, gate"][0]
    assert (failed.tag, failed.get("message")) == ("failure", "the gate did not pass within 5.2 s")
    assert 'relation "rarity" does not exist' in (failed.text or "")
    assert found["batch 1", "web1: switch back (undo)"].get("time") == "1.100"
    skipped = found["finish", "web1: prune"][0]
    assert (skipped.tag, skipped.get("message")) == ("skipped", "not run by this command")
    whole = found["run", "rolling as a whole"][0]
    assert whole.get("message", "").startswith("rolled back, exit 20: batch 2/web2/switch: health answered 500")
    counted = Counter(child.tag for case in found.values() for child in case)
    assert {"failures": counted["failure"], "skipped": counted["skipped"], "errors": 0} == {
        key: int(suite.get(key, "")) for key in ("failures", "skipped", "errors")
    }
    assert int(suite.get("tests", "")) == len(found)


def test_a_lost_answer_is_an_error_and_no_failure() -> None:
    lost = StepFinished(step="batch 1/web1/switch", host="web1", name="switch", outcome="unknown", detail="link lost")
    case = ElementTree.fromstring(junit([lost])).find(".//testcase/error")
    assert case is not None and case.get("message") == "its answer was lost: it may have run"


def test_nothing_of_a_host_is_markup_a_command_or_a_secret(tmp_path: Path) -> None:
    nasty = "]]></failure><b>\x00\x1b[31m\ufffe ``` <img src=x> | pässword::error file=x::boo\n::set-output name=a::b"
    events = [
        RunStarted(run="1", scope="a,b:c", strategy="rolling", release="v1", by="me@box (pid 1)"),
        GateFailed(step="s/web1/switch", host="web1", seconds=1, cause=nasty),
        RunFinished(run="1", verdict="mixed", exit_code=30, seconds=1, reason=nasty),
    ]
    stream = io.StringIO()
    reporters = [
        Junit(tmp_path / "j.xml", redact=Redactor(["pässword"])),
        Summary(tmp_path / "s.md", redact=Redactor(["pässword"])),
        Annotations(stream, file="inventories/a,b.yml", redact=Redactor(["pässword"])),
    ]
    for event in events:
        for reporter in reporters:
            reporter(event)
    for reporter in reporters:
        reporter.close()

    xml, page, lines = (tmp_path / "j.xml").read_text(), (tmp_path / "s.md").read_text(), stream.getvalue()
    assert problems(xml) == [] and "pässword" not in xml + page + lines
    assert len(ElementTree.fromstring(xml).findall(".//failure")) == 2
    assert "\n````text\n" in page and "\x1b" not in page
    assert all(line.startswith("::error file=inventories/a%2Cb.yml,title=") for line in lines.splitlines())
    assert len(lines.splitlines()) == 2


def test_the_summary_says_the_verdict_first_then_why_and_what_to_type() -> None:
    page = markdown(story("failing"))
    assert page.startswith("### ↩️ rolled back: rolling 20261123-4f3a9c1 on shop-production\n")
    assert "by ana@laptop · run `20261123-144812-7f3a`" in page
    assert page.index("Exit code **20**") < page.index("`invoke status`") < page.index("<details><summary><b>batch 2")
    assert (
        "| host | link | processes | health | balancer | verdict |\n|---|---|---|---|---|---|\n| web1 | 20261120"
        in page
    )
    assert "Requests: 3 failed of 14,102" in page
    assert "slack: no answer within 5 s" in page


def test_a_run_that_was_resumed_names_who_began_it() -> None:
    started, *rest = story("good")
    assert isinstance(started, RunStarted)
    page = markdown([replace(started, resumed=True), *rest])
    assert "by ana@laptop · run `20261123-144812-7f3a` resumed, and ended in " in page


def test_a_good_run_has_no_trouble_to_tell() -> None:
    page = markdown(story("good"))
    assert page.startswith("### ✅ done") and "Exit code" not in page and "<details>" not in page


def test_the_annotations_are_about_the_file_that_is_wrong() -> None:
    stream = io.StringIO()
    reporter = Annotations(stream)
    wrong = "inventories/production.yml:4: app.root: wants a path\n  → /srv/shop"
    reporter(replace(REFUSED, verdict="not configured", exit_code=2, reason=wrong))
    assert stream.getvalue() == (
        "::error file=inventories/production.yml,title=run · as a whole,line=4::not configured, exit 2: "
        "inventories/production.yml:4: app.root: wants a path%0A  → /srv/shop\n"
    )


def test_ten_annotations_at_most_and_the_run_first() -> None:
    stream = io.StringIO()
    reporter = Annotations(stream)
    for number in range(40):
        reporter(GateFailed(step=f"s/web{number}/switch", host=f"web{number}", seconds=1, cause="no"))
    reporter(RunFinished(run="1", verdict="mixed", exit_code=30, seconds=1))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10 and re.match("::error title=run · as a whole::mixed, exit 30", lines[0])


def test_github_gets_its_summary_and_annotations_unasked_and_nobody_else_does(tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    reporters = for_ci(environ={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)})
    assert [type(one).__name__ for one in reporters] == ["Summary", "Annotations"]
    reporters[0](REFUSED)
    reporters[0].close()
    reporters[0].close()
    assert page.read_text().startswith("before\n### ❌ refused\n") and page.read_text().count("###") == 1
    assert for_ci(environ={"CI": "true", "GITLAB_CI": "true"}) == ()


def test_a_file_that_cannot_be_written_is_told_before_the_run_and_an_old_one_is_gone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--junit: .*cannot be written"):
        for_ci(junit=str(tmp_path / "file" / "junit.xml"), environ={})
    old = tmp_path / "new" / "junit.xml"
    old.parent.mkdir()
    old.write_text("of yesterday")
    (reporter,) = for_ci(junit=str(old), environ={})
    assert not old.exists()
    reporter.close()
    assert problems(old.read_text()) == []


def test_a_command_that_ends_once_users_are_served_leaves_its_files_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    file, page = tmp_path / "j.xml", tmp_path / "s.md"
    outputs = Outputs(junit=str(file), summary=str(page))
    leave = _leaving(Plain(io.StringIO()), outputs, lambda: print(file.exists(), page.exists()), json=False)
    for event in (*story("good")[:-1], UsersServed(release="v1", seconds=0.5, left=("end workers",))):
        outputs(event)
        leave(event)
    assert capsys.readouterr().out.endswith("True True\n")
    outputs(story("good")[-1])
    outputs.close()
    assert problems(file.read_text()) == []
    assert 'name="verdict" value="served"' in file.read_text() and "still to come: end workers" in page.read_text()


def test_a_command_that_broke_is_no_success(tmp_path: Path) -> None:
    file = tmp_path / "j.xml"
    with pytest.raises(RuntimeError), Outputs(junit=str(file)) as outputs:
        outputs(story("good")[0])
        outputs(StepFinished(step="s/web1/switch", host="web1", name="switch", outcome="done"))
        raise RuntimeError("broken, with a value of somebody's")
    suite = ElementTree.parse(file).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed = suite.find(".//failure")
    assert failed is not None and failed.get("message") == "failed, exit 1: RuntimeError"


def test_a_run_whose_end_nobody_told_is_an_error() -> None:
    done = StepFinished(step="s/web1/switch", host="web1", name="switch", outcome="done")
    suite = ElementTree.fromstring(junit([done]))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")
    error = suite.find(".//error")
    assert error is not None and error.get("message") == "no end was told: it may be going on"


def test_what_a_second_signal_ends_leaves_its_files_before(tmp_path: Path) -> None:
    file = tmp_path / "j.xml"
    outputs = Outputs(junit=str(file))
    outputs(StepFinished(step="s/web1/switch", host="web1", name="switch", outcome="done"))

    def run(_session: object, wishes: Wishes) -> Result:
        wishes.restore()  # and then the process ends: nothing else closes
        assert "exit 130" in file.read_text()
        return Result(run="", verdict="interrupted")

    session = SimpleNamespace(inventory=SimpleNamespace(probe=0.0, path=""), redact=str)
    _told(run, cast("OpenSession", session), outputs, load=None, json=False, verbose=False, let_go=None)
    suite = ElementTree.parse(file).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
