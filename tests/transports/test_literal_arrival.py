"""Every value arrives as it was written, whatever shell the host logs in with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dojo_deploy.clock import SystemClock
from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError
from dojo_deploy.secrets import Secret
from dojo_deploy.transports.shells import SshShell
from dojo_deploy.transports.ssh import Gateways, connect
from tests.sshd import sandbox

CORPUS = [
    "",
    " ",
    "-n",
    "'",
    '"',
    "\\",
    "$(id)",
    "`id`",
    "${HOME}",
    "\n",
    "a\nb\n",
    "\r\t",
    "!",
    "*?[]{}~#&;|<>",
    "é😀",
    "%s%n",
    "x=1",
]
VALUES = st.one_of(st.sampled_from(CORPUS), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))


@pytest.fixture(scope="module", params=["sh", "bash", "dash"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshShell]:
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"no {request.param} here")
    clock = SystemClock()
    with sandbox(tmp_path_factory.mktemp(request.param), shell=path) as server:
        gateways = Gateways(clock)
        shell = connect(server.host, gateways, clock)
        yield shell
        shell.close()
        gateways.close()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(VALUES, max_size=4), value=VALUES, by_input=st.booleans())
def test_words_and_variables(shell: SshShell, words: list[str], value: str, *, by_input: bool) -> None:
    # With a secret in it, a command travels on standard input instead of in a command line: both ways must hold.
    env: dict[str, str | Secret] = {"VALUE": value, **({"PATH_": Secret("env", "PATH")} if by_input else {})}
    command = Command.of("sh", "-c", 'printf "%s\\0" "$VALUE" "$@"', "sh", *words, env=env)
    done = shell.run(command, within=10)
    assert done.stdout.split(b"\0")[:-1] == [word.encode() for word in (value, *words)]


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
