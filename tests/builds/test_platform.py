from __future__ import annotations

import os
import subprocess

from dojo_deploy.builds import PLATFORM_COMMAND, parse_platform
from dojo_deploy.release import Platform


def test_a_machine_tells_its_platform_with_and_without_node() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", PLATFORM_COMMAND.render()], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    found = parse_platform(done.stdout)
    assert (found.system, found.machine) == ("linux", os.uname().machine)
    assert found.libc in ("glibc", "musl")


def test_an_answer_that_is_not_ours_is_an_unknown_platform() -> None:
    assert parse_platform("") == parse_platform("command not found") == Platform()
    assert parse_platform("motd\nLinux x86_64 musl 137\n") == Platform("linux", "x86_64", "musl", "137")
    assert parse_platform("Linux aarch64 glibc -") == Platform("linux", "aarch64", "glibc", "")
