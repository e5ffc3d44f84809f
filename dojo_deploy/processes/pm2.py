"""PM2: a generated configuration and program per slot; PM2 itself never learns a secret."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.command import Command, quote
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import BLUE, GREEN, PROOF, Host, Process, Processes
from dojo_deploy.processes import pm2_boot, pm2_driver, pm2_programs
from dojo_deploy.processes.pm2_strangers import Pm2Strangers
from dojo_deploy.readings import Preparation
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret

ASK_SECONDS = 20.0  # for a daemon to start and to answer
MARK = "DOJO_PROCESS"  # `owner/slot/process/`: how a process of ours is known, in PM2's list and in /proc


@dataclass(frozen=True)
class Pm2:
    """Keys of `app.processes` for `kind: pm2`. `home` is PM2_HOME, if not that of the deploy user.

    Each slot gets `ecosystem.config.js` (its `cwd` is the `current` link, as an absolute path: only then does a reload
    take the new release), `env.cjs`, which gives a worker its release's environment, and `pm2.cjs`, which drives PM2.
    Processes without a port run in fork mode whatever `mode` says: a reload would wait for them to listen.
    """

    pm2: str = "pm2"
    node: str = "node"
    home: str = ""

    def programs(self, processes: Processes) -> Mapping[str, str]:
        return dict.fromkeys((self.node, self.pm2), "PM2") if processes.each else {}

    def preparations(self, host: Host, scope: str, programs: Mapping[str, str]) -> tuple[Preparation, ...]:  # noqa: ARG002
        node, pm2 = (programs.get(word, word) for word in (self.node, self.pm2))
        # Where it is not installed, `check` tells.
        known = node.startswith("/") and pm2.startswith("/")
        return (pm2_boot.boot(host.ssh.user, self.home, node, pm2),) if known else ()

    def is_gapless(self, processes: Processes) -> bool:
        return all(process.mode == "cluster" for process in processes.each.values() if _listens(process))

    def files(self, place: Placement) -> Mapping[str, str]:
        """The slot's three files.

        Raises:
            ConfigError: a process has a secret among its own `env`, or names no script.
        """
        processes = _all(place)
        apps = [self._app(place, name, process) for name, process in processes.items()]
        environment = {
            "key": f"{_owner(place)}/{place.slot}/",
            "folder": _folder(place),
            "processes": {name: _plain(name, process) | _paused(place) for name, process in processes.items()},
            "fixed": sorted({name for app in apps for name in app["env"]}),  # type: ignore[attr-defined]
        }
        program = {
            "pm2": self.pm2,
            "home": self.home,
            "key": environment["key"],
            "names": list(processes),
            "config": _file(place, "ecosystem.config.js"),
            "apps": apps,
            "fresh": place.slot == PROOF,
            "seconds": _start_seconds(place) - 5,
            "stop_within": max((one.stop_within for one in processes.values()), default=0),
        }
        return {
            _file(place, "ecosystem.config.js"): f"module.exports = {_json({'apps': apps})};\n",
            _file(place, "env.cjs"): pm2_programs.ENVIRONMENT.replace("SETTINGS", _json(environment)),
            _file(place, "pm2.cjs"): pm2_driver.DRIVER.replace("SETTINGS", _json(program)),
        }

    def start(self, place: Placement) -> tuple[Command, ...]:
        return (self._drive(place, "start", _start_seconds(place), *place.only),) if _processes(place) else ()

    def stop(self, place: Placement) -> tuple[Command, ...]:
        if not _processes(place):
            return ()
        return (self._drive_if_there(place, "stop", _stop_seconds(place), *place.only),)

    def prove(self, place: Placement) -> tuple[Command, ...]:
        return self.start(_proof(place)) if _proves(place) else ()

    def unprove(self, place: Placement) -> tuple[Command, ...]:
        return self.stop(_proof(place)) if _proves(place) else ()

    def running(self, place: Placement) -> Command:
        """Asks /proc alone: neither node nor PM2's daemon is started, and no pid file can be stale."""
        return Command.shell(pm2_programs.RUNNING, env={"MARK": f"{_literal(_owner(place))}/[^/]*/[^/]*/"})

    def forked(self, place: Placement) -> Command:
        """Prints `@forked slot/process` of what runs in fork mode and is a cluster by the inventory.

        The next deployment would stop and start it, where a reload without a gap was promised.
        """
        each = place.app.processes.each
        names = r"\|".join(_literal(name) for name, one in each.items() if one.mode == "cluster" and _listens(one))
        mark = rf"{_literal(_owner(place))}/\({BLUE}\|{GREEN}\)/\({names}\)/"
        return Command.shell(pm2_programs.FORKED, env={"MARK": mark}) if names else Command.of("true")

    def save(self, place: Placement) -> tuple[Command, ...]:
        return (self._drive_if_there(place, "save", ASK_SECONDS),) if _processes(place) else ()

    def evidence(self, place: Placement) -> Command:
        return self._drive_if_there(place, "evidence", ASK_SECONDS)

    def strangers(self, checkout: str, folder: str) -> Pm2Strangers:
        """Apps that somebody else started in `checkout`, for `adopt`; `folder` is for what has to be remembered."""
        return Pm2Strangers(self.node, self.pm2, self.home, checkout, folder)

    def _app(self, place: Placement, name: str, process: Process) -> dict[str, object]:
        if not process.script:
            raise ConfigError("a process of PM2 needs a script", key=f"app.processes.{name}.script")
        proof = place.slot == PROOF
        port = place.host.port(name, place.slot)
        env = {
            MARK: f"{_owner(place)}/{place.slot}/{name}/",
            "APP": place.app.name,
            "ENVIRONMENT": place.app.environment,
            "COLOUR": place.slot,
            "INSTANCES": "1" if proof else str(process.instances),
        }
        if port:
            env["PORT"] = str(port)
        if proof:
            env["WORKERS"] = "paused"
        return {
            "name": f"{place.scope}-{place.slot}-{name}",
            "namespace": place.scope,
            "cwd": _folder(place),
            "script": process.script,
            "args": list(process.args),
            "node_args": ["-r", _file(place, "env.cjs")],
            "exec_mode": "cluster" if process.mode == "cluster" and port and not proof else "fork",
            "instances": 1 if proof else process.instances,
            "autorestart": not proof,
            "listen_timeout": math.ceil(process.ready_within * 1000),
            "kill_timeout": math.ceil(process.stop_within * 1000),
            "merge_logs": True,
            "vizion": False,
            "env": env,
        }

    def _drive(self, place: Placement, verb: str, seconds: float, *names: str) -> Command:
        return Command.of("timeout", "-k", "5", f"{seconds:.0f}", self.node, _file(place, "pm2.cjs"), verb, *names)

    def _drive_if_there(self, place: Placement, verb: str, seconds: float, *names: str) -> Command:
        # A slot without the file was never started.
        words = " ".join(map(quote, (verb, *names)))
        line = f'[ ! -f "$PROGRAM" ] || timeout -k 5 {seconds:.0f} "$NODE" "$PROGRAM" {words}'
        return Command.shell(line, env={"NODE": self.node, "PROGRAM": _file(place, "pm2.cjs")})


def _owner(place: Placement) -> str:
    # Two roots on one machine are two hosts: the sandbox has all of its own that way.
    return f"{place.scope}@{hashlib.sha256(place.host.root.encode()).hexdigest()[:8]}"


def _literal(text: str) -> str:
    # In grep's basic expressions; a name may have a dot.
    return re.sub(r"([.*^$\\\[\]])", r"\\\1", text)


def _listens(process: Process) -> bool:
    return bool(process.port or process.ports)


def _proves(place: Placement) -> bool:
    web = place.app.processes.web
    return bool(web and place.host.port(web, PROOF))


def _proof(place: Placement) -> Placement:
    return Placement(host=place.host, slot=PROOF, release=place.release, app=place.app)


def _processes(place: Placement) -> dict[str, Process]:
    return _all(place) if place.slot == PROOF else dict(place.processes)


def _all(place: Placement) -> dict[str, Process]:
    each, web = place.app.processes.each, place.app.processes.web
    return {web: each[web]} if place.slot == PROOF and web else dict(each)


def _paused(place: Placement) -> dict[str, str]:
    # Here, and not in PM2's own list: whatever starts a worker again, it finds what holds then.
    return {"WORKERS": "paused"} if place.workers == "paused" else {}


def _folder(place: Placement) -> str:
    return place.layout.release(place.release) if place.slot == PROOF else place.layout.current(place.slot)


def _file(place: Placement, name: str) -> str:
    return posixpath.join(place.layout.slot(place.slot), name)


def _plain(name: str, process: Process) -> dict[str, str]:
    for variable, value in process.env.items():
        if isinstance(value, Secret):
            raise ConfigError(
                "PM2 would keep a secret of a single process in its files",
                key=f"app.processes.{name}.env.{variable}",
                hint="put it in app.env or app.env_file, which are written 0600 into each release",
            )
    return {variable: str(value) for variable, value in process.env.items()}


def _start_seconds(place: Placement) -> float:
    # PM2 reloads instance after instance; each may take its whole time to listen and to stop.
    each = _processes(place).values()
    return ASK_SECONDS + 5 + sum((one.ready_within + one.stop_within) * one.instances for one in each)


def _stop_seconds(place: Placement) -> float:
    return ASK_SECONDS + sum(one.stop_within * one.instances for one in _processes(place).values())


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
