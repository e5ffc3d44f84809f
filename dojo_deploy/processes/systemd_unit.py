"""The text of one unit: how a process is started, so that every value in it arrives as it was written."""

from __future__ import annotations

import math
import posixpath
from dataclasses import dataclass

from dojo_deploy.command import Command, Word, quote
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import PROOF, Process
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret

UNIT = """\
# Written by dojo_deploy: each deployment writes it anew.
[Unit]
Description={description}
StartLimitIntervalSec=0
{after}
[Service]
Type=exec
{user}WorkingDirectory={folder}
Environment=INSTANCE=%i
ExecStart=/bin/sh -c {start}
{stop}KillMode={kill_mode}
TimeoutStopSec={stop_within}ms
Restart={restart}
RestartSec=1
SyslogIdentifier={slot}-{name}

[Install]
WantedBy={target}
"""
NETWORK = "Wants=network-online.target\nAfter=network-online.target\n"
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "%": "%%", "$": "$$"}


@dataclass(frozen=True)
class Unit:
    """One process of a slot; each of its instances is `name@1.service`, `name@2.service` …"""

    place: Placement
    name: str
    process: Process

    @property
    def template(self) -> str:
        return f"{self.place.scope}-{self.place.slot}-{self.name}@.service"

    @property
    def instances(self) -> tuple[str, ...]:
        number = 1 if self.place.slot == PROOF else self.process.instances
        return tuple(self.template.replace("@", f"@{one}") for one in range(1, number + 1))

    def text(self, *, node: str, restart: str, system: bool) -> str:
        """The unit, for one release: a crash never starts another one than it ran before.

        Raises ConfigError for a value that cannot stand in a unit, and for keys that systemd has no use for.
        """
        place, process = self.place, self.process
        self._check()
        stop = f"ExecStop=/bin/sh -c {escape(self._line(process.stop))}\n" if process.stop else ""
        return UNIT.format(
            description=f"{place.scope} {place.slot} {self.name}, release {_plain(place.release)}",
            after=NETWORK if system else "",
            user=f"User={_plain(place.host.ssh.user)}\n" if system else "",
            folder=_plain(self._folder),
            start=escape(self._line(process.start or self._script(node))),
            stop=stop,
            # A shell would not pass the signal on; what it started gets its own.
            kill_mode="control-group" if process.start else "mixed",
            stop_within=max(1, math.ceil(process.stop_within * 1000)),
            restart="no" if place.slot == PROOF else restart,
            slot=place.slot,
            name=self.name,
            target="multi-user.target" if system else "default.target",
        )

    @property
    def _folder(self) -> str:
        return self.place.layout.release(self.place.release)

    def _script(self, node: str) -> str:
        return Command.of("exec", node, self.process.script, *self.process.args).render()

    def _line(self, line: str) -> str:
        env_file = quote(self.place.layout.env(self.place.release))
        # What the run says of the slot wins over the release's own environment.
        return f"[ ! -f {env_file} ] || . {env_file}\n{Command.shell(line, env=self._environment()).render()}"

    def _environment(self) -> dict[str, Word]:
        place = self.place
        known = place.variables
        proof = place.slot == PROOF
        port = place.host.port(self.name, place.slot)
        return {
            **self.process.env,
            **{key: known[key] for key in ("APP", "ENVIRONMENT", "COLOUR", "RELEASE", "RELEASE_DIR", "SHARED_DIR")},
            "INSTANCES": "1" if proof else str(self.process.instances),
            **({"PORT": str(port)} if port else {}),
            **({"WORKERS": "paused"} if proof or place.workers == "paused" else {}),
        }

    def _check(self) -> None:
        key = f"app.processes.{self.name}"
        if not (self.process.script or self.process.start):
            raise ConfigError("a process of systemd needs a script, or a start line", key=f"{key}.script")
        for line in ("reload", "running", "log"):
            if getattr(self.process, line):
                raise ConfigError(
                    "systemd knows this by itself",
                    key=f"{key}.{line}",
                    hint=f"leave it out, or {{kind: command}} {line}",
                )
        for variable, value in self.process.env.items():
            if isinstance(value, Secret):
                raise ConfigError(
                    "anybody on the host can read a unit",
                    key=f"{key}.env.{variable}",
                    hint="put it in app.env or app.env_file, which are written 0600 into each release",
                )


def escape(text: str) -> str:
    """One word of an Exec line: systemd would read quotes, backslashes, `%` and `$` in it."""
    return '"' + "".join(ESCAPES.get(char, char if char >= " " else f"\\x{ord(char):02x}") for char in text) + '"'


def _plain(text: str) -> str:
    """The rest of a line, where systemd knows no quotes."""
    if not text.isprintable() or text.endswith("\\") or text != text.strip():
        raise ConfigError(f"{text!r} cannot stand in a unit of systemd", hint=f"rename {posixpath.basename(text)!r}")
    return text.replace("%", "%%")
