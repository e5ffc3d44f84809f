"""Ctrl-C and SIGTERM on the bed: the program ends at a step's edge, and somebody goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dojo_deploy import app
from dojo_deploy.errors import OpenRunError
from tests.system.bed import WEB, Bed
from tests.system.story import OTHER, QUICK

soak = pytest.mark.soak


@pytest.mark.parametrize(
    ("strategy", "stage", "number", "verb"),
    [
        ("blue-green", "start", signal.SIGTERM, "abort"),
        pytest.param("blue-green", "start", signal.SIGINT, "resume", marks=soak),
        pytest.param("blue-green", "end workers", signal.SIGTERM, "resume", marks=soak),
        pytest.param("blue-green", "end workers", signal.SIGINT, "abort", marks=soak),
        pytest.param("rolling", "batch 1 of 2", signal.SIGTERM, "resume", marks=soak),
        pytest.param("rolling", "batch 1 of 2", signal.SIGINT, "abort", marks=soak),
    ],
)
def test_an_interrupted_run_is_ended_either_way(
    bed: Bed, strategy: str, stage: str, number: signal.Signals, verb: str
) -> None:
    before = bed.serving()
    sets = [word for key, value in QUICK[strategy].items() for word in ("--set", f"{key}={value}")]
    words = ["deploy", "--strategy", strategy, "--ref", OTHER[before], "--json", "-i", str(bed.fleet.inventory), *sets]
    said = ""
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("dojo")), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as run:
        assert run.stdout
        for line in run.stdout:
            said += line
            if "StageStarted" in line and f'"{stage}"' in line:
                run.send_signal(number)
                break
        said += run.communicate(timeout=60)[0]

    assert run.returncode == 130, said
    assert "Traceback" not in said
    releases = {bed.fleet.release(ref) for ref in OTHER}
    assert set(bed.answers().values()) <= releases
    assert len(set(bed.through())) == 1
    with pytest.raises(OpenRunError):
        bed.fleet.deploy(before)
    ended = app.resume(bed.fleet.inventory) if verb == "resume" else app.abort(bed.fleet.inventory)
    assert ended.exit_code == 0, ended.reason
    assert bed.troubles(OTHER[before] if verb == "resume" else before) == []
    assert set(bed.answers()) == set(WEB)
