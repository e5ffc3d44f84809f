"""Every value arrives as it was written, whatever shell the host logs in with."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dojo_deploy.clock import SystemClock
from dojo_deploy.command import Command
from dojo_deploy.engine.hostjob import Job, JobStep, carry
from dojo_deploy.errors import ConfigError
from dojo_deploy.release import Layout
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.shells import SshShell
from dojo_deploy.transports.ssh import Gateways, connect
from tests.sshd import sandbox

CORPUS = [
    "it's  $(id) \\",
    "",
    " ",
    "-n",
    "'",
    '"',
    "\\",
    "\\'",
    "'\\''",
    "$(id)",
    "`id`",
    "${HOME}",
    "$'\\n'",
    "\n",
    "a\nb\n",
    "\r\t",
    "\x01\x7f\x1b[31m",
    "!",
    "!!",
    "~",
    "*?[]{}~#&;|<>",
    "*",
    "é😀",
    "\u202e\ufeff\U0010fffd",
    "%s%n",
    "x=1",
    "; exit 3",
    "\n)\n;;\nesac\n",
    "EOF",
]
SYNTAX = st.text(st.sampled_from("'\"$()`{}\\\n\r\t !*?[]~#&;|<>=-a%"), max_size=12)
ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
MANY = 100  # values that one command brings, each as a word and as a variable
EXAMPLES = 8  # commands for each shell and way: 3 × 3 × 8 × 100 values; no two of a command are alike


@pytest.fixture(scope="module", params=["sh", "bash", "dash"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshShell]:
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"no {request.param} here")
    clock = SystemClock()
    folder = tmp_path_factory.mktemp(request.param)
    # What runs a host job there is `sh`: on such a host it is the same shell.
    (folder / "bin").mkdir()
    (folder / "bin" / "sh").symlink_to(path)
    with sandbox(folder, shell=path, programs=str(folder / "bin")) as server:
        gateways = Gateways(clock)
        shell = connect(server.host, gateways, clock)
        yield shell
        shell.close()
        gateways.close()


@pytest.mark.parametrize("way", ["argument", "input", "job"])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.large_base_example, HealthCheck.too_slow],
)
@given(generated=st.lists(SYNTAX | ANYTHING, min_size=MANY, max_size=MANY, unique=True))
def test_a_hundred_words_and_variables(shell: SshShell, way: str, generated: list[str]) -> None:
    values = list(dict.fromkeys([*CORPUS, *generated]))
    assert arrived(shell, values, way=way) == [*values, *values]


def test_directories(shell: SshShell) -> None:
    for name in ("with space", "quo'te", "$(id)", "-n", "new\nline"):
        folder = f"/tmp/{shell.host.ssh.port}-{name}"
        assert shell.run(Command.of("mkdir", "--", folder), within=5).ok
        assert shell.run(Command.of("sh", "-c", 'printf %s "$(pwd; echo .)"', cwd=folder), within=5).stdout == (
            folder.encode() + b"\n."
        )
        assert shell.run(Command.of("rmdir", "--", folder), within=5).ok


def test_a_value_of_a_hundred_kibibytes(shell: SshShell) -> None:
    value = "'\"$x \n" * 17_000
    assert shell.run(Command.shell('printf %s "$VALUE"', env={"VALUE": value}), within=10).stdout == value.encode()


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_shell_can_carry_is_refused(shell: SshShell, value: str) -> None:
    with pytest.raises(ConfigError):
        shell.run(Command.of("echo", value), within=5)


def arrived(shell: SshShell, values: list[str], *, way: str) -> list[str]:
    """What a command on the host was given as its words, and found in its variables."""
    names = [f"V{number}" for number in range(len(values))]
    env: dict[str, str | Secret] = dict(zip(names, values, strict=True))
    if way == "input":
        # With a secret in it, a command travels on standard input instead of in a command line.
        env["PATH_"] = Secret("env", "PATH")
    line = 'printf "%s\\0" "$@" ' + " ".join(f'"${name}"' for name in names)
    if way == "job":
        return by_job(shell, Command.of("sh", "-c", f'{line} > "$OUT"', "sh", *values, env=env))
    done = shell.run(Command.of("sh", "-c", line, "sh", *values, env=env), within=10)
    assert done.ok, done.complaint
    return split(done.stdout)


def by_job(shell: SshShell, command: Command) -> list[str]:
    """The same as a step of a host job, below a folder that has to arrive literally too."""
    root = Path(shell.host.root, 'it\'s "the" $(root) é')
    out = root / "out"
    step = JobStep("say", (replace(command, env=(*command.env, ("OUT", str(out)))),), 10)
    job = Job(secrets.token_hex(8), 1, "S", "app-test", Layout(str(root)), (step,), close=True)
    (result,) = carry(shell, job, on_frame=lambda _: None, clock=SystemClock())
    assert result.outcome == "done", result.tail
    return split(out.read_bytes())


def split(said: bytes) -> list[str]:
    return [word.decode() for word in said.split(b"\0")[:-1]]
