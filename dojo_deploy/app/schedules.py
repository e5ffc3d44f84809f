"""Backups that are made by themselves: the schedule of this machine, shown or installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from dojo_deploy.app.sites import Site, read
from dojo_deploy.backups.schedule import Schedule
from dojo_deploy.errors import ConfigError, RefusedError

WITHIN = 30.0
NONE = "no crontab for"  # what it says, and ends 1, where this user has none
CRON, SYSTEMD = "cron", "systemd"


def schedule(inventory: Site = None, *, kind: str = SYSTEMD, install: bool = False) -> str:
    """A backup at 02:00 UTC, and a drill on Sundays at 03:00: what is, or would be, installed for this user.

    Raises ConfigError without an inventory file, RefusedError when systemd or cron did not take it.
    """
    if kind not in (CRON, SYSTEMD):
        raise ConfigError(f"no schedule by {kind!r}", key="kind", hint=f"{SYSTEMD} or {CRON}")
    site = read(inventory)
    if not site.path:
        raise ConfigError("a schedule needs an inventory that is a file")
    file = Path(site.path).resolve()
    folder = file.parent.parent if file.parent.name == "inventories" else file.parent
    made = Schedule(_program(), str(file), str(folder), site.scope)
    return _cron(made, install=install) if kind == CRON else _systemd(made, install=install)


def _program() -> str:
    beside = Path(sys.executable).with_name("dojo")
    found = str(beside) if beside.is_file() else shutil.which("dojo")
    if not found:
        raise ConfigError("the program dojo is not installed", hint="pip install dojo-deploy")
    return found


def _systemd(made: Schedule, *, install: bool) -> str:
    folder = Path.home() / ".config/systemd/user"
    units = made.units()
    if install:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            (folder / name).write_text(text)
        _done("systemctl", "--user", "daemon-reload")
        _done("systemctl", "--user", "enable", "--now", *(name for name in units if name.endswith(".timer")))
    told = [f"# {folder / name}\n{text}" for name, text in units.items()]
    after = "" if install else "# then: systemctl --user daemon-reload && systemctl --user enable --now the timers\n"
    return "\n".join(told) + after + "# so that they run while nobody is logged in: loginctl enable-linger\n"


def _cron(made: Schedule, *, install: bool) -> str:
    text = made.crontab(_crontab() if install else "")
    if install:
        _done("crontab", "-", text=text)
    return text


def _crontab() -> str:
    """That of this user: what it is not known to be is not replaced."""
    done = _asked("crontab", "-l")
    if done.returncode and NONE not in done.stderr:
        raise _refused(done)
    return "" if done.returncode else done.stdout


def _done(*words: str, text: str = "") -> None:
    done = _asked(*words, text=text)
    if done.returncode:
        raise _refused(done)


def _asked(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, input=text, capture_output=True, text=True, timeout=WITHIN)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RefusedError(f"{words[0]} did not do it: {exc}", hint="without --install it is only shown") from exc


def _refused(done: subprocess.CompletedProcess[str]) -> RefusedError:
    return RefusedError(f"{' '.join(done.args)} ended {done.returncode}: {done.stderr.strip()}")
