"""When backups are made by themselves, as units of systemd or lines of cron. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.command import quote
from dojo_deploy.errors import ConfigError

NIGHTLY, WEEKLY = "*-*-* 02:00:00 UTC", "Sun *-*-* 03:00:00 UTC"
PLAIN = re.compile(r"[\w@+=:,./-]+")  # what neither systemd, cron nor a shell reads as anything else


@dataclass(frozen=True)
class Schedule:
    """`program` and `inventory` are absolute paths, `folder` is where it runs; `scope` tells schedules apart."""

    program: str
    inventory: str
    folder: str
    scope: str

    def __post_init__(self) -> None:
        for path in (self.program, self.inventory, self.folder):
            if not PLAIN.fullmatch(path) or not posixpath.isabs(path):
                raise ConfigError(
                    f"{path!r} cannot stand in a schedule", hint="an absolute path without blanks or signs"
                )

    def lines(self, task: str) -> tuple[str, ...]:
        """What runs: at night a backup, and what is too old goes; once a week a drill."""
        tasks = {"backup": ("backup.create", "backup.prune --confirm"), "drill": ("backup.drill",)}[task]
        return tuple(f"{self.program} {each} -i {self.inventory}" for each in tasks)

    def units(self) -> Mapping[str, str]:
        """File name -> content, for a folder of systemd's units."""
        found = {}
        for task, moment in (("backup", NIGHTLY), ("drill", WEEKLY)):
            name = f"dojo-{task}-{self.scope}"
            runs = "".join(f"ExecStart={line}\n" for line in self.lines(task))
            found[f"{name}.service"] = (
                f"[Unit]\nDescription={task} of the database of {self.scope}\n\n"
                f"[Service]\nType=oneshot\nWorkingDirectory={self.folder}\n{runs}"
            )
            found[f"{name}.timer"] = (
                f"[Unit]\nDescription={task} of the database of {self.scope}\n\n"
                f"[Timer]\nOnCalendar={moment}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
            )
        return found

    def crontab(self, present: str) -> str:
        """`present` with our lines in it, in place of earlier ones of the same scope.

        Cron knows the machine's own time only, so the line asks for the time in UTC, each quarter of an hour.
        """
        mark = f"# dojo {self.scope}"
        kept = [line for line in present.splitlines() if not line.endswith(mark)]
        for task, moment in (("backup", "02:00"), ("drill", "7 03:00")):
            words = "%u %H:%M" if " " in moment else "%H:%M"
            asks = f'[ "$(date -u +{quote(words)})" = {quote(moment)} ]'.replace("%", "\\%")
            runs = " && ".join(self.lines(task))
            kept.append(f"*/15 * * * * {asks} && cd {self.folder} && {runs} {mark}")
        return "\n".join(kept) + "\n"
