"""`invoke rollback` right after a blue-green deployment of the sandbox, from Return to the prompt: medians."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dojo_deploy import app
from dojo_deploy.sandbox.inventory import bring_up

INVOKE = Path(sys.executable).with_name("invoke")
ROOT = Path(__file__).parents[1]
MOST = 2.0  # seconds
REST = 120.0  # seconds that what goes on after the command may take


def measure(rounds: int) -> dict[str, float]:
    """Wall seconds of the whole command, the prober on and off. Raises SystemExit for a command that fails."""
    with tempfile.TemporaryDirectory(prefix="dojo-") as folder:
        shutil.copy(ROOT / "tasks.py", folder)
        inventory = Path(folder, "inventories", "sandbox.yml")
        inventory.parent.mkdir()
        inventory.write_text("sandbox: {hosts: 3}\n")
        bring_up(inventory, {"hosts": 3})
        try:
            _invoke(folder, "deploy", "--ref", "v1")
            return {flag: _median(inventory, flag, rounds) for flag in ("--probe", "--no-probe")}
        finally:
            _invoke(folder, "sandbox.down")


def _median(inventory: Path, flag: str, rounds: int) -> float:
    folder = str(inventory.parent.parent)
    took = []
    for number in range(1, rounds + 1):
        _invoke(folder, "deploy", "--strategy=blue-green", "--ref", "v2", "--no-probe")
        took.append(_invoke(folder, "rollback", flag))
        print(f"round {number}: invoke rollback {flag} {took[-1]:.2f} s", flush=True)
        _until_free(inventory)
    return statistics.median(took)


def _invoke(folder: str, *words: str) -> float:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    done = subprocess.run(
        [str(INVOKE), *words], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(
            f"invoke {' '.join(words)}: exit {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
    return took


def _until_free(inventory: Path) -> None:
    deadline = time.monotonic() + REST
    while (held := app.holder(inventory)) and held.state == "held":
        if time.monotonic() > deadline:
            raise SystemExit(f"the run that went on has not ended within {REST:.0f} s")
        time.sleep(0.5)


def main(rounds: int) -> None:
    middle = measure(rounds)
    print(f"medians of {rounds}: " + ", ".join(f"{flag} {seconds:.2f} s" for flag, seconds in middle.items()))
    if max(middle.values()) > MOST:
        raise SystemExit("the promise does not hold")
