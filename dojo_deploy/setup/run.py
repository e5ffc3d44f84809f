"""Hosts are asked what they lack, and given it: one script per host, by root, whose every line can be shown before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from dojo_deploy.command import Command, quote
from dojo_deploy.errors import DojoError, LostError, RefusedError, TransportError
from dojo_deploy.interfaces import Session, Shell
from dojo_deploy.inventory import Host
from dojo_deploy.readings import Preparation

ASK_WITHIN = 30.0
DO_WITHIN = 120.0
THERE, DONE, LACKS, FAILED = "there", "done", "lacks", "failed"

PROGRAMS = """\
for program in $PROGRAMS; do
  for found in "$(command -v "$program")" "/usr/sbin/$program" "/usr/local/sbin/$program"; do
    case $found in /*) [ ! -x "$found" ] || { echo "$program $found"; break; } ;; esac
  done
done
"""


@dataclass(frozen=True)
class Prepared:
    """One host; `states` are those of its preparations, as far as they were come to. `trouble`: what stopped it.

    `unknown`: the connection went away while things were changed, and nobody knows how far that came.
    """

    host: str
    preparations: tuple[Preparation, ...] = ()
    states: tuple[str, ...] = ()
    trouble: str = ""
    hint: str = ""
    unknown: bool = False

    @property
    def rows(self) -> tuple[tuple[str, Preparation], ...]:
        return tuple(zip(self.states, self.preparations[: len(self.states)], strict=True))


Wanted = Callable[[Host, dict[str, str]], Iterable[Preparation]]


def prepare(
    session: Session, executor: Executor, hosts: Iterable[Host], words: Iterable[str], wanted: Wanted, *, dry: bool
) -> tuple[Prepared, ...]:
    """All hosts side by side, as the user whom their `ssh` names; `words` are the programs to look for.

    A `dry` one asks what is there, and changes nothing. What goes wrong on a host is told of it, and stops no other.
    """
    asked = tuple(words)
    pending = [executor.submit(_one, session, host, asked, wanted, dry=dry) for host in hosts]
    return tuple(future.result() for future in pending)


def _one(session: Session, host: Host, words: tuple[str, ...], wanted: Wanted, *, dry: bool) -> Prepared:
    try:
        shell = session.shell(host.name)
        found = shell.run(Command.shell(PROGRAMS, env={"PROGRAMS": " ".join(words)}), within=ASK_WITHIN)
        rows = (line.partition(" ")[::2] for line in found.text.splitlines())
        preparations = tuple(wanted(host, dict(rows)))
        return replace(_run(shell, preparations, dry=dry), host=host.name)
    except DojoError as exc:
        message = exc.message.removeprefix(f"{exc.host}: ") if isinstance(exc, TransportError) else exc.message
        return Prepared(host.name, trouble=message, hint=exc.hint)


def _run(shell: Shell, preparations: tuple[Preparation, ...], *, dry: bool) -> Prepared:
    script = "\n".join(_text(one, dry=dry) for one in preparations)
    root = () if shell.host.ssh.user == "root" else ("/usr/bin/sudo", "-n", "--")
    try:
        done = shell.run(Command.of(*root, "/bin/sh", "-c", f"umask 022\n{script}"), within=DO_WITHIN)
    except LostError as exc:
        message = f"{exc.message.removeprefix(f'{shell.host.name}: ')}; what was being done may be done, or half done"
        return Prepared(
            shell.host.name, preparations, (), message, "the same again: what is done is left alone", not dry
        )
    lines = done.stdout.decode("utf-8", "backslashreplace").splitlines()
    states = tuple(line[1:] for line in lines if line in (f"@{state}" for state in (THERE, DONE, LACKS, FAILED)))
    if not states:
        raise RefusedError(
            f"{shell.host.ssh.user} cannot become root: {done.complaint}",
            hint="an account that may use sudo without a password for this once, or --user root",
        )
    said = " ".join(line for line in lines if not line.startswith("@"))[-500:]
    whole = done.ok and FAILED not in states and len(states) == len(preparations)
    trouble = "" if whole else said or done.stderr.decode("utf-8", "backslashreplace").strip()[-500:]
    if not whole and not trouble:
        trouble = f"ended {done.status} after {len(states)} of {len(preparations)} things"
    return Prepared(shell.host.name, preparations, states[: len(preparations)], trouble)


def _text(one: Preparation, *, dry: bool) -> str:
    lines = "\n".join(one.lines)
    act = "echo @lacks" if dry else f"/bin/sh -ec {quote(lines)} 2>&1 && echo @done || {{ echo @failed; exit 1; }}"
    return f"if ( {one.there} ) >/dev/null 2>&1; then echo @there; else\n{act}\nfi"
