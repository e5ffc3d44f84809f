"""Jobs of CI as their runners carry them out: the steps of the file, a fresh checkout, an empty home, no terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.fleet import Fleet

EXAMPLES = Path(__file__).parents[2] / "examples" / "ci"
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
Cancel = Callable[[subprocess.Popen[str]], None]


@dataclass(frozen=True)
class Job:
    """How a job ended: `status` of its first failing step, and all that it said."""

    folder: Path
    status: int
    said: str

    def report(self, name: str) -> str:
        return (self.folder / "reports" / name).read_text()


@dataclass(frozen=True)
class Pipelines:
    """One repository with its variables, on whose runners nothing is left of any job before."""

    fleet: Fleet
    work: Path
    known_hosts: str
    _jobs: list[Path] = field(default_factory=list)

    def github(self, task: str, ref: str, *, cancel: Cancel | None = None) -> Job:
        """The whole workflow; `cancel` is given the process of the step that deploys."""
        text = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())["jobs"]["production"]
        folder, home = self.fresh(ref)
        summary = folder.with_suffix(".summary.md")
        known = {
            "inputs.task || 'deploy'": task,
            "secrets.DEPLOY_KEY": self.key.read_text(),
            "secrets.ENV_FILE": self.env_file.read_text(),
            "vars.KNOWN_HOSTS": self.known_hosts,
        }

        def filled(values: Mapping[str, str]) -> dict[str, str]:
            return {name: EXPRESSION.sub(lambda found: known[found[1]], value) for name, value in values.items()}

        about = {"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": ref, "GITHUB_STEP_SUMMARY": str(summary)}
        environ = {**machine(home), **about, **filled(text["env"])}
        status, said = 0, ""
        for step in text["steps"]:
            if "run" not in step or not _holds(step.get("if", ""), environ, failed=bool(status)):
                continue
            script = folder.with_suffix(".step.sh")
            script.write_text(step["run"])
            is_last = cancel if step.get("name") == "Deploy" else None
            words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
            code, told = _run(words, folder, environ | filled(step.get("env", {})), is_last)
            status, said = status or code, said + told
        return Job(folder, status, said + (summary.read_text() if summary.exists() else ""))

    def gitlab(self, job: str, ref: str, *, cancel: Cancel | None = None) -> Job:
        """One job: before_script and script in one shell, as the runner joins them."""
        jobs = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
        text = _extended(jobs, job)
        folder, home = self.fresh(ref)
        about = {"GITLAB_CI": "true", "CI_COMMIT_TAG": ref}
        variables = {"DEPLOY_KEY": str(self.key), "ENV_FILE": str(self.env_file), "KNOWN_HOSTS": self.known_hosts}
        script = folder.with_suffix(".job.sh")
        script.write_text(
            "set -eo pipefail\n" + "".join(f"{line}\n" for line in text["before_script"] + text["script"])
        )
        environ = {**machine(home), **about, **variables, **text["variables"]}
        code, said = _run(["bash", str(script)], folder, environ, cancel)
        return Job(folder, code, said)

    @property
    def key(self) -> Path:
        return Path(self.fleet.site.document["ssh"]["key"])

    @property
    def env_file(self) -> Path:
        """What no checkout has: the job writes it."""
        return Path(self.fleet.site.document["app"]["env_file"]["file"])

    def fresh(self, ref: str) -> tuple[Path, Path]:
        """A checkout as runners make it, with the inventory that the repository would hold; and an empty home."""
        self._jobs.append(self.work / f"job-{len(self._jobs)}")
        folder, home = self._jobs[-1], self._jobs[-1].with_suffix(".home")
        document: Any = deepcopy(dict(self.fleet.site.document))
        repository = document["app"].pop("source")["repository"]
        words = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth=1", f"--branch={ref}"]
        subprocess.run([*words, f"file://{repository}", str(folder)], check=True, timeout=30)
        home.mkdir()
        document["ssh"] |= {"key": "~/.ssh/id_deploy", "known_hosts": "known_hosts"}
        document["strategies"]["rolling"] |= {"bake": {"first": "0s"}, "batches": [1, "100%"]}
        document["app"]["env_file"] = {"file": "secrets/production.env"}  # as `init` writes it
        document["probe"] = 0
        (folder / "inventories").mkdir()
        (folder / "inventories" / "production.yml").write_text(json.dumps(document, indent=1))
        return folder, home


def signalled(number: int, words: str, *, group: bool) -> Cancel:
    """Sends the signal, to the step's process or to all of its group, once the output has had `words`."""

    def cancel(process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if words in line:
                os.kill(-process.pid if group else process.pid, number)
                return
        raise AssertionError(f"it never said {words!r}: {''.join(said)}")

    said: list[str] = []
    return cancel


def _run(words: list[str], folder: Path, environ: Mapping[str, str], cancel: Cancel | None) -> tuple[int, str]:
    process = subprocess.Popen(
        words, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        if cancel:
            cancel(process)
        said, _ = process.communicate(timeout=120)
        _gone(process.pid)
        return process.returncode, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _gone(group: int) -> None:
    """Waits for what a killed shell left of its job: the next one starts on another machine, a while later."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a job's processes have outlived it")


def machine(home: Path) -> dict[str, str]:
    # The tool is installed already: pip finds it so, and asks no index.
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    return {"PATH": path, "HOME": str(home), "CI": "true", "PIP_NO_INDEX": "1", "PYTHONUNBUFFERED": "1"}


def _holds(condition: str, environ: Mapping[str, str], *, failed: bool) -> bool:
    """The few conditions that the example has."""
    if condition == "always()":
        return True
    found = re.fullmatch(r"env\.(\w+) == '(\w+)'", condition)
    assert found or not condition, condition
    return not failed and (not found or environ[found[1]] == found[2])


def _extended(jobs: Mapping[str, Any], name: str) -> dict[str, Any]:
    def bases(name: str) -> Iterator[dict[str, Any]]:
        if "extends" in jobs[name]:
            yield from bases(jobs[name]["extends"])
        yield jobs[name]

    return {key: value for base in bases(name) for key, value in base.items()}
