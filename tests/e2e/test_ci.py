"""The examples for CI, run as they stand; also by runners that are cancelled, and by ones that never saw the run."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.looking import serves
from tests.e2e.pipelines import Pipelines, signalled
from tests.reporters.junit_schema import problems

SWITCHING = "stage batch 1 of 2 starts"


@pytest.fixture
def pipelines(site: Fleet, tmp_path: Path) -> Pipelines:
    known_hosts = Path(site.site.document["ssh"]["known_hosts"]).read_text().strip()
    return Pipelines(site, tmp_path, known_hosts)


def wrong(junit: str) -> list[str]:
    """The cases that failed, of a file that has to be valid."""
    assert problems(junit) == []
    suite = ElementTree.fromstring(junit)[0]
    return [case.get("name", "") for case in suite.iter("testcase") if case.find("failure") is not None]


def test_a_cancelled_github_job_is_resumed_by_one_that_never_saw_it(pipelines: Pipelines) -> None:
    stopped = pipelines.github("deploy", "v2", cancel=signalled(signal.SIGINT, SWITCHING, group=False))

    assert stopped.status == 130, stopped.said
    assert wrong(stopped.report("deploy.xml")) == ["rolling as a whole"]
    assert wrong(stopped.report("before.xml")) == []
    assert "### ⏸️ interrupted: rolling v2" in stopped.said and "- `invoke resume -i production`" in stopped.said
    assert (
        "::error file=inventories/production.yml,title=run · rolling as a whole::interrupted, exit 130" in stopped.said
    )

    resumed = pipelines.github("resume", "v1")

    assert resumed.status == 0, resumed.said
    assert wrong(resumed.report("resume.xml")) == []
    written = resumed.folder / "inventories" / "secrets" / "production.env"
    given = pipelines.env_file.read_text().strip()
    assert (written.read_text().strip(), written.stat().st_mode & 0o777) == (given, 0o600)
    assert "### ✅ done: rolling v2" in resumed.said and "::error" not in resumed.said
    serves(pipelines.fleet, pipelines.fleet.release("v2"))


@pytest.mark.soak
def test_a_gitlab_job_that_was_killed_is_undone_by_the_next_which_then_deploys(pipelines: Pipelines) -> None:
    killed = pipelines.gitlab("deploy", "v2", cancel=signalled(signal.SIGTERM, SWITCHING, group=True))

    assert killed.status in (130, -signal.SIGTERM), killed.said
    assert wrong(killed.report("deploy.xml")) == ["rolling as a whole"]

    deployed = pipelines.gitlab("deploy", "v2")

    assert deployed.status == 0, deployed.said
    before, after = deployed.report("before.xml"), deployed.report("deploy.xml")
    assert 'name="verdict" value="aborted"' in before and wrong(before) == []
    assert 'name="verdict" value="done"' in after and wrong(after) == []
    assert deployed.report("summary.md").startswith("### ✅ done: rolling v2")
    assert "Done" in deployed.report("run.html")
    serves(pipelines.fleet, pipelines.fleet.release("v2"))

    back = pipelines.gitlab("rollback", "v2")

    assert back.status == 0, back.said
    assert wrong(back.report("rollback.xml")) == []
    serves(pipelines.fleet, pipelines.fleet.release("v1"))


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("group", [False, True], ids=["the shell", "all"])
def test_github_jobs_end_in_every_way_and_abort_cleans_up(pipelines: Pipelines, number: int, group: bool) -> None:
    stopped = pipelines.github("deploy", "v2", cancel=signalled(number, SWITCHING, group=group))

    assert stopped.status == (130 if number != signal.SIGKILL else -number), stopped.said

    aborted = pipelines.github("abort", "v2")

    assert aborted.status == 0 and wrong(aborted.report("abort.xml")) == [], aborted.said
    serves(pipelines.fleet, pipelines.fleet.release("v1"))


@pytest.mark.soak
def test_a_bad_release_fails_the_job_and_its_files_say_why(pipelines: Pipelines) -> None:
    failed = pipelines.github("deploy", "v3")

    assert failed.status == 20, failed.said
    assert wrong(failed.report("deploy.xml"))[-1] == "rolling as a whole"
    assert "### ↩️ rolled back: rolling v3" in failed.said and "<details><summary>" in failed.said
    serves(pipelines.fleet, pipelines.fleet.release("v1"))


@pytest.mark.soak
def test_a_job_with_nothing_to_do_is_no_failure_and_one_that_knows_no_host_says_so(pipelines: Pipelines) -> None:
    nothing = pipelines.gitlab("resume", "v1")
    assert nothing.status == 0 and wrong(nothing.report("resume.xml")) == [], nothing.said
    assert (
        nothing.report("summary.md")
        == "### ✅ nothing to do\n\n```text\n" + "nothing is open: no run to resume or to abort\n```\n"
    )

    stranger = replace(pipelines, known_hosts="").gitlab("rollback", "v1")

    assert stranger.status == 10, stranger.said
    assert wrong(stranger.report("rollback.xml")) == ["as a whole"]
    assert "### ❌ refused" in stranger.report("summary.md")
    serves(pipelines.fleet, pipelines.fleet.release("v1"))
