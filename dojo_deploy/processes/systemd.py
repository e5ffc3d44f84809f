"""systemd: a template unit per process of a slot; the journal keeps what the processes say."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dojo_deploy.command import Command
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import BLUE, GREEN, PROOF, Host, Processes
from dojo_deploy.processes import systemd_programs as programs
from dojo_deploy.processes.systemd_unit import Unit
from dojo_deploy.readings import Preparation
from dojo_deploy.release import Placement
from dojo_deploy.rights import may_run


@dataclass(frozen=True)
class Systemd:
    """Keys of `app.processes` for `kind: systemd`: units `APP-ENVIRONMENT-SLOT-PROCESS@1.service`, one per instance.

    `units: user` are the deploy user's own; as root, once: `loginctl enable-linger deploy`. `units: system` run as that
    user under the machine's manager, which needs `sudo -n systemctl`; who may run that is as good as root. Units lie in
    the slot and are linked, so that root's folders are left alone. A process is a `script` of `node`, or its `start`
    line, which stays in the foreground; a `stop` line runs before the signal. Instances that listen share one port: the
    application says `reusePort`, or has one instance. A restart closes the port, so hosts are drained for it.
    """

    units: str = "user"  # or system
    node: str = "node"  # as systemd's PATH finds it, which knows no version manager; better absolute
    restart: str = "on-failure"  # or always: also after it ended by itself with status 0

    knows_all = True

    def check(self) -> None:
        """Raises ConfigError for a word that systemd would not understand."""
        for key, known in (("units", ("user", "system")), ("restart", ("on-failure", "always"))):
            if getattr(self, key) not in known:
                raise ConfigError(f"wants {' or '.join(known)}", key=key)

    def programs(self, processes: Processes) -> Mapping[str, str]:
        runs_node = any(process.script for process in processes.each.values())
        return {"systemctl": "systemd", **({self.node: "the unit of each process"} if runs_node else {})}

    def preparations(self, host: Host, scope: str, programs: Mapping[str, str]) -> tuple[Preparation, ...]:
        user = host.ssh.user
        if self._system:
            # Whoever may run it is as good as root: there is no less that would do.
            return (may_run(user, scope, "systemctl", (programs.get("systemctl", "/usr/bin/systemctl"),)),)
        there = f"[ -e /var/lib/systemd/linger/{user} ]"
        what = f"units of {user} run without a login, and after a reboot"
        return (Preparation(what, there, (f"/usr/bin/loginctl enable-linger {user}",)),)

    def is_gapless(self, processes: Processes) -> bool:
        return not any(process.port or process.ports for process in processes.each.values())

    def files(self, place: Placement) -> Mapping[str, str]:
        """One unit per process. Raises ConfigError for what cannot stand in one, such as a secret."""
        settings = {"node": self.node, "restart": self.restart, "system": self._system}
        return {
            posixpath.join(place.layout.slot(place.slot), unit.template): unit.text(**settings)  # type: ignore[arg-type]
            for unit in _units(place)
        }

    def start(self, place: Placement) -> tuple[Command, ...]:
        units = tuple(_units(place))
        if not units:
            return ()
        env = {
            **self._slot(place),
            "TEMPLATES": " ".join(unit.template for unit in units),
            "UNITS": " ".join(_instances(place)),
        }
        linger = "" if self._system else programs.LINGER
        return (self._shell(f"{programs.OURS}{linger}{programs.START}", env),)

    def stop(self, place: Placement) -> tuple[Command, ...]:
        return (self._shell(self._if_there(programs.OURS + programs.STOP), self._slot(place)),)

    def prove(self, place: Placement) -> tuple[Command, ...]:
        return self.start(_proof(place)) if _proves(place) else ()

    def unprove(self, place: Placement) -> tuple[Command, ...]:
        return self.stop(_proof(place)) if _proves(place) else ()

    def running(self, place: Placement) -> Command:
        env = {**self._all(place), "ASK": self._ask, "KNOWN": f"{BLUE} {GREEN} {PROOF}"}
        return self._shell(self._if_there(programs.RUNNING), env)

    def save(self, place: Placement) -> tuple[Command, ...]:
        # Where systemctl itself puts the links; $HOME is the host's to know.
        wants = (
            "WANTS=/etc/systemd/system/multi-user.target.wants\n"
            if self._system
            else 'WANTS="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/default.target.wants"\n'
        )
        env = {**self._all(place), "SYSTEMCTL": self._systemctl, "SAVED": f"{BLUE} {GREEN}"}
        return (self._shell(f"{programs.OURS}{wants}{programs.SAVE}", env),)

    def evidence(self, place: Placement) -> Command:
        units = _instances(place)
        option = "--unit" if self._system else "--user-unit"
        journal = " ".join(f"{option}={unit}" for unit in units)
        env = {"ASK": self._ask, "UNITS": " ".join(units), "JOURNAL": journal}
        return self._shell(programs.EVIDENCE, env) if units else Command.of("true")

    @property
    def sudo(self) -> str:
        """What must run as root without a password."""
        return "systemctl" if self._system else ""

    @property
    def _system(self) -> bool:
        return self.units == "system"

    @property
    def _systemctl(self) -> str:
        return "sudo -n systemctl" if self._system else self._ask

    @property
    def _ask(self) -> str:
        return "systemctl" if self._system else "systemctl --user"

    def _slot(self, place: Placement) -> dict[str, str]:
        return {
            "SYSTEMCTL": self._systemctl,
            "SLOT": place.layout.slot(place.slot),
            "PATTERNS": " ".join(f"{place.scope}-{place.slot}-{name}@*.service" for name in place.only or ("*",)),
        }

    def _all(self, place: Placement) -> dict[str, str]:
        return {"SLOTS": place.layout.slot("").rstrip("/"), "PREFIX": f"{place.scope}-"}

    def _if_there(self, program: str) -> str:
        # No manager, no process of its: before the first deployment nobody may have let the user linger.
        return program if self._system else f"if {programs.NO_SESSION}; then :; else\n{program}fi\n"

    def _shell(self, program: str, env: Mapping[str, str]) -> Command:
        return Command.shell(f"{'' if self._system else programs.SESSION}{program}", env=env)


def _units(place: Placement) -> Iterator[Unit]:
    each, web = place.app.processes.each, place.app.processes.web
    for name, process in each.items():
        if place.slot != PROOF or name == web:
            yield Unit(place, name, process)


def _instances(place: Placement) -> tuple[str, ...]:
    """Those that are meant; a proof is meant whole."""
    meant = place.processes if place.slot != PROOF else place.app.processes.each
    return tuple(name for unit in _units(place) if unit.name in meant for name in unit.instances)


def _proof(place: Placement) -> Placement:
    return replace(place, slot=PROOF, only=())


def _proves(place: Placement) -> bool:
    web = place.app.processes.web
    return bool(web and place.host.port(web, PROOF))
