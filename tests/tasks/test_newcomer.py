"""What is typed wrong, or in the wrong place, ends 2 with a clear line and what to type instead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import BIN, Typed

ROOT = Path(__file__).parents[2]
QUICK = 0.4  # seconds, for `--list`


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("depoy", "no task 'depoy'; did you mean deploy?\n  → dojo --list\n"),
        ("deploy --stratgy x", "no flag '--stratgy'; did you mean --strategy?\n  → dojo deploy --help\n"),
        ("deploy --limit", "--limit wants a value\n  → dojo deploy --help\n"),
        ("--nope", "no flag '--nope'; there is none\n  → dojo --list\n"),
        ("deploy --probe --no-probe", "--probe and --no-probe: one of them\n"),
        ("deploy --set bake", "--set bake: wants key=value, such as bake.first=3s\n"),
        ("deploy", "which inventory? there is none in inventories/\n  → dojo init writes the first one\n"),
        ("sandbox.up -i nowhere", 'no inventory "nowhere"; there is none\n'),
    ],
)
def test_a_mistyped_line_ends_2_and_says_what_to_type(words: str, said: str, typed: Typed) -> None:
    done = typed(*words.split())

    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("deploy -i shpo", 'no inventory "shpo"; did you mean shop?'),
        ("deploy -s roling", 'no strategy "roling"; did you mean rolling?'),
        ("deploy --ref nope", "no commit 'nope' in "),
        ("deploy -l web9", "'web9' is no host and no group\n  → hosts: web1, web2"),
        ("deploy -l ~(", "'~(' is no regular expression: "),
        ("deploy --set gate.wihtin=3s", "--set: gate.wihtin: unknown key; did you mean within?"),
        ("deploy --artifact nope.tgz", "no artifact nope.tgz"),
        ("sandbox.up", "is no sandbox inventory; one says `sandbox: {hosts: 3}`"),
    ],
)
def test_a_wrong_name_ends_2_and_names_what_is_near(words: str, said: str, typed: Typed, shop: Path) -> None:
    done = typed(*words.split())

    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not (shop.parents[1] / "store").exists(), "nothing was locked for it"


def test_a_host_that_does_not_answer_ends_10_before_any_change(typed: Typed, shop: Path) -> None:
    done = typed("deploy")

    assert done.returncode == 10, done.stderr
    assert "web1" in done.stderr and "127.0.0.1:1" in done.stderr
    assert typed("resume").stdout == "nothing is open: no run to resume or to abort\n"
    assert shop.exists()


def test_a_broken_file_is_named_with_its_line(typed: Typed, shop: Path) -> None:
    shop.write_text("app:\n  name: shop\n  root: [\n")

    done = typed("status")

    assert done.returncode == 2 and done.stderr.startswith("inventories/shop.yml:"), done.stderr


def test_json_tells_errors_as_json_too(typed: Typed) -> None:
    done = typed("status", "--json")

    assert done.returncode == 2
    assert '"exit_code": 2' in done.stdout and '"error": "ConfigError"' in done.stdout


def test_the_bare_program_says_how_to_start(typed: Typed) -> None:
    for words in ((), ("--help",)):
        done = typed(*words)
        assert done.returncode == 0
        assert "dojo TASK --help" in done.stdout
        assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
        for task in ("deploy", "rollback", "status", "sandbox.demo"):
            assert f"\n  {task} " in done.stdout, done.stdout


def test_every_task_has_help_that_fits_a_line(typed: Typed) -> None:
    listed = [line.split() for line in typed("--list").stdout.splitlines() if line.startswith("  ")]

    assert len(listed) >= 12
    for name, *_ in listed:
        told = typed(name, "--help")
        assert told.returncode == 0 and "Docstring:" in told.stdout


def test_the_list_is_there_at_once(typed: Typed) -> None:
    took = []
    for _ in range(5):
        began = time.monotonic()
        done = typed("--list", program="invoke", cwd=ROOT)
        took.append(time.monotonic() - began)

    assert done.returncode == 0 and "deploy" in done.stdout
    # The quickest: what else this machine does at the time is not what is measured.
    assert min(took) < QUICK, took


def test_the_list_imports_nothing_heavy() -> None:
    code = "import sys, dojo_deploy.tasks; print(*sorted(set(sys.modules) & {*sys.argv[1:]}))"
    heavy = ["fabric", "paramiko", "boto3", "rich", "asyncssh", "dojo_deploy.app"]

    loaded = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, timeout=30, check=True
    )

    assert loaded.stdout == "\n"


@pytest.mark.parametrize("flags", [["-B"], []], ids=["told to keep none", "as usual"])
@pytest.mark.parametrize("program", ["dojo", "invoke"])
def test_a_checkout_is_compiled_once_for_every_command_after_it(tmp_path: Path, program: str, flags: list[str]) -> None:
    shutil.copytree(ROOT / "dojo_deploy", tmp_path / "dojo_deploy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tmp_path)
    code = {"dojo": "dojo_deploy.tasks.program", "invoke": "invoke.main"}[program]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    done = subprocess.run(
        [sys.executable, *flags, "-c", f"from {code} import program; program.run()", "runbook.lint", "no-such-file"],
        cwd=tmp_path, env={**environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip

    assert done.returncode == 2, done.stderr
    compiled = {path.parent.parent.name for path in tmp_path.rglob("runbooks/__pycache__/*.pyc")}
    assert compiled == (set() if flags else {"runbooks"})


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    line = f"{BIN / 'dojo'} --list | true"

    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=30)

    assert done.stderr == ""


def test_without_the_sandboxs_packages_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "sandbox.yml").write_text("sandbox: {hosts: 1}\n")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # Found nowhere is what not installed means.
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Finder(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'asyncssh' else super().find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Finder\n"
    )
    done = subprocess.run(
        [str(BIN / "dojo"), "sandbox.up"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(hidden)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (
        2,
        "the sandbox needs asyncssh\n  → pip install 'dojo-deploy[sandbox]'\n",
    )
    assert not (tmp_path / ".dojo").exists()
