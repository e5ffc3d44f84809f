"""The controller as a host."""

from __future__ import annotations

import time

import pytest

from dojo_deploy.transports.local import LocalShell


def test_complaints_that_nobody_reads_stop_nothing() -> None:
    heard: list[bytes] = []

    status = LocalShell().stream(
        "head -c 300000 /dev/zero >&2; echo done", within=10, stdin=None, on_output=heard.append
    )

    assert (status, b"".join(heard)) == (0, b"done\n")


def test_who_cannot_take_what_it_says_does_not_wait_for_its_end() -> None:
    def refuse(data: bytes) -> None:
        raise ZeroDivisionError(data)

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        LocalShell().stream("echo x; sleep 30", within=60, stdin=None, on_output=refuse)
    assert time.monotonic() - began < 10
