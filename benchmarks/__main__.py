"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import backups, rollback
from benchmarks.chart import chart
from benchmarks.lab import Lab

SIZES = (10, 50, 100, 500)
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=("peers", "delay", "scale", "backups", "rollback"))
    parser.add_argument("--rig", type=Path, help="the rig's script; `rig.sh up` has been run")
    parser.add_argument("--rows", type=int, default=420_000, help="of the database that is backed up, in each half")
    parser.add_argument("--lab", type=Path, default=Path(os.environ.get("LAB", "/tmp/dojo-peers-lab")))
    parser.add_argument("--rounds", type=int, help="default: 5; of backups 1")
    asked = parser.parse_args()
    if asked.what == "backups":
        backups.main(asked.rows, asked.rounds or 1)
        return
    if asked.what == "rollback":
        rollback.main(asked.rounds)
        return
    if not asked.rig:
        parser.error("--rig is missing")
    if asked.what == "scale":
        scale(Lab(asked.rig, asked.lab))
    elif asked.what == "peers":
        peers(Lab(asked.rig, asked.lab), hosts=50, rounds=asked.rounds or 5, most=2.3, least=1.75)
    else:
        delayed(asked.rig, asked.lab, asked.rounds or 5)


def peers(lab: Lab, *, hosts: int, rounds: int, most: float, least: float) -> None:
    """Each in turn, `rounds` times: medians, and the two ratios that are promised."""
    runs: dict[str, Callable[[], float]] = {
        "floor": lambda: lab.peer("floor", hosts),
        "pyinfra": lambda: lab.peer("pyinfra", hosts),
        "dojo_deploy": lambda: lab.deploy(hosts, lanes=50).seconds,
    }
    lab.deploy(hosts, lanes=50)  # the first run of a checkout compiles it
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(1, rounds + 1):
        for name, run in runs.items():
            os.sync()  # what the one before has not written yet is not to be written on this one's time
            seconds[name].append(run())
        print(f"round {number}: " + ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()))
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"medians of {rounds}, {hosts} hosts: " + ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
    )
    slower = middle["dojo_deploy"] / middle["floor"]
    faster = middle["pyinfra"] / middle["dojo_deploy"]
    print(f"{slower:.2f} × the floor (at most {most}); {faster:.2f} × faster than pyinfra (at least {least})")
    if slower > most or faster < least:
        raise SystemExit("the promise does not hold")


def delayed(rig: Path, folder: Path, rounds: int) -> None:
    """The same hosts behind a relay that takes 20 ms each way, on 20 of them."""
    env = {**os.environ, "LAB": str(folder)}
    subprocess.run(["bash", str(rig), "delay", "20"], env=env, check=True, stdout=subprocess.DEVNULL)
    relay = int((folder / "delay.pid").read_text())
    try:
        time.sleep(1)  # the rig's relay does not say when it listens
        peers(Lab(rig, folder, port=2300), hosts=20, rounds=rounds, most=2.2, least=2.7)
    finally:
        os.kill(relay, 15)


def scale(lab: Lab) -> None:
    """Time and memory of the controller at growing size, in one batch of 100 lanes; a chart and its figures."""
    rows = []
    for hosts in SIZES:
        run = lab.deploy(hosts, lanes=100)
        rows.append(
            {"hosts": hosts, "seconds": round(run.seconds, 2), "mib": round(run.memory), "cpu": round(run.cpu, 2)}
        )
        print(f"{hosts:>4} hosts: {run.seconds:.1f} s, {run.memory:.0f} MiB, {run.cpu:.1f} s of CPU in the controller")
    (HERE / "scale.json").write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / "scale.svg").write_text(chart(rows))
    first, last = rows[0], rows[-1]
    growth = last["hosts"] / first["hosts"]
    if last["seconds"] > first["seconds"] * growth or last["mib"] > first["mib"] * growth or last["mib"] > 400:
        raise SystemExit("it grows faster than the number of hosts")


if __name__ == "__main__":
    main()
