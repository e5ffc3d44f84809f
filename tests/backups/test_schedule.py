"""Backups that are made by themselves: the lines, and that they are installed once."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.app import schedules
from dojo_deploy.backups.schedule import Schedule
from dojo_deploy.errors import ConfigError, RefusedError
from tests.sites import site

MADE = Schedule("/opt/dojo/bin/dojo", "/srv/ops/inventories/production.yml", "/srv/ops", "shop-production")
CRONTAB = '#!/bin/sh\nif [ "$1" = -l ]; then cat "$0.tab"; else cat > "$0.tab"; fi\n'


def test_a_timer_of_systemd_runs_at_two_by_utc() -> None:
    units = MADE.units()
    assert "OnCalendar=*-*-* 02:00:00 UTC" in units["dojo-backup-shop-production.timer"]
    service = units["dojo-backup-shop-production.service"]
    assert "ExecStart=/opt/dojo/bin/dojo backup.create -i /srv/ops/inventories/production.yml" in service
    assert "backup.drill" in units["dojo-drill-shop-production.service"]


def test_a_line_of_cron_waits_for_two_by_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    line = next(line for line in MADE.crontab("").splitlines() if "backup.create" in line)
    command = line.removeprefix("*/15 * * * * ").replace("\\%", "%").replace("cd /srv/ops", "true")
    command = command.replace("/opt/dojo/bin/dojo", "echo ran")
    date = tmp_path / "date"
    for moment, runs in (("02:00", True), ("14:00", False), ("03:00", False)):
        date.write_text(f'#!/bin/sh\n[ "$*" = "-u +%H:%M" ] && echo {moment}\n')
        date.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
        )
        assert ("ran backup.create" in done.stdout) is runs


def test_it_is_installed_once_beside_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crontab").write_text(CRONTAB)
    (tmp_path / "crontab").chmod(0o755)
    (tmp_path / "crontab.tab").write_text("0 5 * * * mine\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = str(tmp_path / "production.yml")
    for _ in range(2):
        schedules.schedule(replace(site(), path=path), kind="cron", install=True)
    lines = (tmp_path / "crontab.tab").read_text().splitlines()
    assert lines[0] == "0 5 * * * mine"
    assert ["backup.create" in line for line in lines] == [False, True, False]
    assert path in lines[1]


def test_what_cannot_be_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="systemctl"):
        schedules.schedule(replace(site(), path=str(tmp_path / "production.yml")), install=True)
    with pytest.raises(ConfigError, match="kind"):
        schedules.schedule(replace(site(), path="x.yml"), kind="at")
    with pytest.raises(ConfigError, match="cannot stand in a schedule"):
        Schedule("/opt/my dojo", "/x.yml", "/", "shop")


@pytest.mark.parametrize("sign", list("&;|()`#<>*? \t\n'\"$%\\"))
def test_a_path_that_a_shell_would_read_otherwise_cannot_stand_in_a_schedule(sign: str) -> None:
    with pytest.raises(ConfigError, match="cannot stand in a schedule"):
        Schedule("/opt/dojo", f"/srv/R{sign}D/x.yml", "/srv", "shop")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo 'must be privileged' >&2; exit 1", "must be privileged"),
        ('echo "no crontab for $USER" >&2; exit 1', ""),
        (None, "crontab did not do it"),
    ],
)
def test_a_crontab_that_cannot_be_read_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, said: str
) -> None:
    if program:
        (tmp_path / "crontab").write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then {program}; fi\ncat >"$0.tab"\n')
        (tmp_path / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere" if not program else f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(schedules, "_program", lambda: "/opt/dojo")
    made = replace(site(), path=str(tmp_path / "production.yml"))
    with pytest.raises(RefusedError, match=said) if said else contextlib.nullcontext():
        schedules.schedule(made, kind="cron", install=True)
    assert (tmp_path / "crontab.tab").exists() is (not said)
