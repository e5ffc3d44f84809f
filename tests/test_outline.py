"""A plan and its commands, as people read them: complete, calm, and no secret."""

from __future__ import annotations

import pytest

from dojo_deploy.command import Command
from dojo_deploy.plan import Gate, Lane, OnHost, Plan, Stage, Step
from dojo_deploy.release import Release
from dojo_deploy.secrets import Secret

PROGRAM = "\n".join(f"line {number}" for number in range(20))


def told(*lanes: Lane) -> list[str]:
    return Plan("rolling", Release("r1"), (Stage("batch 1", lanes),)).outline(commands=True).splitlines()


def step(name: str, *commands: Command) -> Step:
    return Step(name, OnHost(commands))


def test_a_command_shows_where_with_what_and_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJO_TEST_CANARY", "canary-5d1")
    env = {"HOST": "web1", "TOKEN": Secret("env", "DOJO_TEST_CANARY"), "FILE": "a b"}

    shown = str(Command.shell("set -eu\nnpm run migrate", cwd="/srv/my app", env=env))

    assert shown == "cd '/srv/my app'\nexport HOST=web1 TOKEN=*** FILE='a b'\nset -eu\nnpm run migrate"


def test_a_long_value_stands_behind_a_bar_as_it_is() -> None:
    shown = str(Command.shell('printf %s "$CONTENT" > "$FILE"', env={"CONTENT": "it's\n  two\n", "FILE": "/x"}))

    assert shown == 'export FILE=/x\nexport CONTENT=\n│ it\'s\n│   two\nprintf %s "$CONTENT" > "$FILE"'


def test_many_variables_take_several_rows_and_lose_none() -> None:
    env = {f"NAME_{number}": "x" * 30 for number in range(8)}

    *exports, _ = str(Command.shell("true", env=env)).splitlines()

    assert max(map(len, exports)) <= 110
    assert [word for row in exports for word in row.split()[1:]] == [f"{name}={value}" for name, value in env.items()]


def test_what_is_long_and_alike_is_told_once() -> None:
    other = PROGRAM.replace("line 7", "line seven")
    rows = told(
        Lane("web1", (step("prove", Command.shell(PROGRAM)),)),
        Lane("web2", (step("prove", Command.shell(PROGRAM)),)),
        Lane("web3", (step("prove", Command.shell(other)),)),
    )

    assert sum("line 3" in row for row in rows) == 1
    assert "        $ the 20 lines of web1's prove" in rows
    assert rows[-2:] == ["        $ the 20 lines of web1's prove, but line", "            8: line seven"]


def test_what_is_long_and_different_is_told_in_full() -> None:
    other = PROGRAM.replace("line 1", "row 1")
    rows = told(
        Lane("web1", (step("prove", Command.shell(PROGRAM), Command.shell(other)),)),
        Lane("web2", (step("prove", Command.shell(other)),)),
    )

    assert sum("row 11" in row for row in rows) == 1
    assert "        $ the 20 lines of web1's prove (2)" in rows


def test_short_commands_are_told_in_full_each_time() -> None:
    rows = told(*(Lane(host, (step("link", Command.of("ln", "-s", "a", "b")),)) for host in ("web1", "web2")))

    assert rows.count("        $ ln -s a b") == 2


def test_gates_undos_and_marks_are_told() -> None:
    undo = step("switch back", Command.of("false"))
    switch = Step("switch", OnHost((Command.of("true"),)), gate=Gate(), undo=undo, point_of_no_return=True)

    assert told(Lane("web1", (switch,)))[-4:] == [
        "      switch (no return)",
        "        $ true",
        "        gate: release + health, 3 in a row within 60 s",
        "        undo: switch back",
    ]
