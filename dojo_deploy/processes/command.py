"""Processes that are started, stopped and asked about by the operator's own shell lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dojo_deploy.command import Command, Word
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import BLUE, GREEN, PROOF, Host, Process, Processes
from dojo_deploy.readings import Preparation
from dojo_deploy.release import Placement
from dojo_deploy.secrets import Secret

# What the run says of the slot wins over the release's own environment.
SOURCE = 'port=$PORT release=$RELEASE\n[ ! -f "$ENV_FILE" ] || . "$ENV_FILE"\nexport PORT="$port" RELEASE="$release"\n'
LOG_LINES = 30
RUNS = '[ -n "$(sh -c "$RUNNING")" ]'
ENDED = f"""left=$STOP_WITHIN
while {RUNS}; do
  [ "$left" -gt 0 ] || {{ echo "$NAME still runs $STOP_WITHIN s after its stop line" >&2; exit 1; }}
  left=$((left - 1)); sleep 1
done"""
LISTED = """sh -c "$RUNNING" | while read -r pid _; do
  folder=$(readlink "/proc/$pid/cwd") && printf '%s %s %s\\n' "$NAME" "$pid" "$folder"
done"""


@dataclass(frozen=True)
class CommandLines:
    """`kind: command`. Lines see `$PORT`, `$CURRENT`, `$RELEASE_DIR`, `$COLOUR` … and the release's own environment.

    A process without lines is left alone; a marker file is `start: touch "$CURRENT/../restart"`. With a `running`
    line, `start` reloads, or stops and starts, what runs already. A release proves itself first only where the process
    itself names a proof port in `ports`: its lines then promise to tell the proof from the site. `log` is one word of
    a line: the file of which a failed gate shows the end.
    """

    def programs(self, processes: Processes) -> Mapping[str, str]:  # noqa: ARG002 - the lines are the operator's own
        return {}

    def preparations(
        self,
        host: Host,  # noqa: ARG002 - the lines are the operator's own
        scope: str,  # noqa: ARG002
        programs: Mapping[str, str],  # noqa: ARG002
    ) -> tuple[Preparation, ...]:
        return ()

    def is_gapless(self, processes: Processes) -> bool:
        return all(one.reload for one in processes.each.values() if one.port or one.ports)

    def files(self, place: Placement) -> Mapping[str, str]:  # noqa: ARG002 - nothing of ours lies in a slot
        return {}

    def start(self, place: Placement) -> tuple[Command, ...]:
        return tuple(_start(place, name, one) for name, one in place.processes.items() if one.start)

    def stop(self, place: Placement) -> tuple[Command, ...]:
        return tuple(_stop(place, name, one) for name, one in place.processes.items() if one.stop)

    def prove(self, place: Placement) -> tuple[Command, ...]:
        return tuple(_start(_proof(place), name, one) for name, one in _proven(place) if one.start)

    def unprove(self, place: Placement) -> tuple[Command, ...]:
        return tuple(_stop(_proof(place), name, one) for name, one in _proven(place) if one.start and one.stop)

    def running(self, place: Placement) -> Command:
        asked = tuple(_asked(place)) or (Command.of("true"),)
        return Command.shell("\n".join(f"( {command.render()} )" for command in asked))

    def save(self, place: Placement) -> tuple[Command, ...]:  # noqa: ARG002 - what a boot starts is the operator's
        return ()

    def evidence(self, place: Placement) -> Command:
        logs = [_tail(place, name, one).render() for name, one in place.app.processes.each.items() if one.log]
        return Command.shell("\n".join([self.running(place).render(), *(f"( {text} )" for text in logs)]))


def _start(place: Placement, name: str, process: Process) -> Command:
    if process.reload and not process.running:
        raise ConfigError(
            "a reload line needs a running line: without it nothing tells whether to reload or to start",
            key=f"app.processes.{name}.running",
            hint="a line that prints the PID of each running process: cat run/web.pid",
        )
    variables = _variables(place, name, process)
    if process.reload:
        return Command.shell(f'{SOURCE}if {RUNS}; then sh -c "$RELOAD"; else sh -c "$START"; fi', env=variables)
    if process.running and process.stop:
        return Command.shell(f'{SOURCE}if {RUNS}; then sh -c "$STOP"; fi\n{ENDED}\nsh -c "$START"', env=variables)
    return Command.shell(f'{SOURCE}eval "$START"', env=variables)


def _stop(place: Placement, name: str, process: Process) -> Command:
    variables = _variables(place, name, process)
    if not process.running:
        return Command.shell(f'{SOURCE}sh -c "$STOP"', env=variables)
    return Command.shell(f'{SOURCE}if {RUNS}; then sh -c "$STOP"; fi\n{ENDED}', env=variables)


def _asked(place: Placement) -> Iterator[Command]:
    proven = dict(_proven(place))
    for name, process in place.app.processes.each.items():
        if not process.running:
            continue
        for slot in (BLUE, GREEN, PROOF):
            if slot == PROOF and name not in proven:
                continue
            here = _proof(place) if slot == PROOF else replace(place, slot=slot, release="")
            # A slot that was never used has no link; lines that ignore the slot would be counted for it too.
            unused = "" if slot == PROOF else '[ -e "$CURRENT" ] || exit 0\n'
            yield Command.shell(unused + LISTED, env=_plain(_variables(here, name, process)))


def _tail(place: Placement, name: str, process: Process) -> Command:
    line = f'printf "%s: the last {LOG_LINES} lines of %s\\n" "$NAME" "$LOG"; sh -c "tail -n {LOG_LINES} -- $LOG" 2>&1'
    return Command.shell(line, env=_plain(_variables(place, name, process)))


def _plain(variables: dict[str, Word]) -> dict[str, Word]:
    """What may stand in a command that asks: it is shown as it is."""
    return {key: value for key, value in variables.items() if not isinstance(value, Secret)}


def _variables(place: Placement, name: str, process: Process) -> dict[str, Word]:
    lines = {
        "START": process.start,
        "STOP": process.stop,
        "RELOAD": process.reload,
        "RUNNING": process.running,
        "LOG": process.log,
    }
    given: dict[str, Word] = {
        **process.env,
        **place.variables,
        "PORT": str(place.host.port(name, place.slot) or ""),
        "INSTANCES": "1" if place.slot == PROOF else str(process.instances),
        "NAME": f"{place.slot}/{name}",
        "ENV_FILE": place.layout.env(place.release) if place.release else "",
        "STOP_WITHIN": str(math.ceil(process.stop_within)),
        **{key: line for key, line in lines.items() if line},
    }
    if place.workers == "paused":
        given["WORKERS"] = "paused"
    if place.slot == PROOF:
        given |= {"WORKERS": "paused", "CURRENT": place.layout.release(place.release)}
    return given


def _proof(place: Placement) -> Placement:
    return replace(place, slot=PROOF)


def _proven(place: Placement) -> tuple[tuple[str, Process], ...]:
    web = place.app.processes.web
    if not web or not place.host.port(web, PROOF) or PROOF not in place.app.processes.each[web].ports:
        return ()
    return ((web, place.app.processes.each[web]),)
