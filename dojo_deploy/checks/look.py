"""The one question to a host, and its answer. Read-only: no daemon is woken, no file is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dojo_deploy.checks.wanted import Wanted
from dojo_deploy.command import Command, quote
from dojo_deploy.interfaces import Session
from dojo_deploy.inventory import BLUE, Host
from dojo_deploy.release import Placement

WITHIN = 30.0
ABSOLUTE = dict.fromkeys(("node", "pm2", "systemctl"), "/usr/bin/env")  # it is not asked where they are

# Where version managers put what only an interactive shell finds; the last one is the newest, more or less.
ELSEWHERE = r"""
elsewhere() {
  last=
  for found in /opt/*/bin/"$1" /usr/local/*/bin/"$1" /usr/local/bin/"$1" "$HOME"/.asdf/shims/"$1" \
    "$HOME"/.volta/bin/"$1" "$HOME"/.local/bin/"$1" "$HOME"/.npm-global/bin/"$1" \
    "$HOME"/.local/share/fnm/node-versions/*/installation/bin/"$1" "$HOME"/.nvm/versions/node/*/bin/"$1"; do
    [ ! -x "$found" ] || last=$found
  done
  echo "$last"
}
"""
# A socket's owner is in the table; its process is found only where it is the same user's.
PORTS = r"""
[ -z "$PORTS" ] || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v ports="$PORTS" '
  BEGIN { n = split(ports, list, " "); for (i = 1; i <= n; i++) port[sprintf("%04X", list[i])] = list[i] }
  $4 == "0A" { n = split($2, at, ":"); if (at[n] in port) print port[at[n]], $8, $10 }' | sort -u |
while read -r port uid inode; do
  pid=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:?$inode?" 2>/dev/null | head -n 1 | cut -d/ -f3)
  name=; [ -z "$pid" ] || name=$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)
  owner=$(getent passwd "$uid" | cut -d: -f1)
  printf '@port %s %s %s %s\n' "$port" "${owner:-$uid}" "${pid:--}" "$name"
  [ -z "$pid" ] || printf '@cwd %s %s\n' "$port" "$(readlink "/proc/$pid/cwd")"
done
"""
LOOK = r"""
printf '@clock %s\n' "$(date +%s)"
printf '@shell %s\n' "${SHELL##*/}"
for program in $PROGRAMS; do
  # bash also names what may not be run.
  if found=$(command -v "$program") && [ -x "$found" ]; then printf '@program %s %s\n' "$program" "$found"
  else printf '@elsewhere %s %s\n' "$program" "$(elsewhere "${program##*/}")"; fi
done
for program in $VERSIONS; do printf '@version %s %s\n' "$program" "$("$program" --version </dev/null 2>/dev/null)"; done
here=$ROOT; while [ ! -d "$here" ] && [ "$here" != / ]; do here=${here%/*}; here=${here:-/}; done
[ -w "$here" ] && may=writable || may=foreign
printf '@root %s %s\n' "$may" "$here"
set -- $(LC_ALL=C df -Pi "$here"); shift 8; printf '@inodes %s %s\n' "$1" "$3"
printf '@release %s\n' "$(timeout 10 du -sk "$ROOT"/releases/* 2>/dev/null | sort -n | tail -n 1 | cut -f1)"
[ -z "$SUDO" ] || said=$(sudo -n "$SUDO" --version 2>&1 >/dev/null) ||
  printf '@sudo %s\n' "$(printf '%s' "${said:-exit status $?}" | tail -n 1)"
"""


@dataclass(frozen=True)
class Listener:
    """Who listens on a port: `pid` and `command` are known only of the deploy user's own processes."""

    user: str
    pid: str
    command: str
    cwd: str = ""


@dataclass(frozen=True)
class Answer:
    """One host's answer; `skew` is how far its clock is ahead, in seconds, and `blur` how well that is known."""

    shell: str = ""
    skew: float = 0.0
    blur: float = 0.0
    programs: Mapping[str, str] = field(default_factory=dict)  # word -> path
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # word that PATH has not -> where it is, if anywhere
    versions: Mapping[str, str] = field(default_factory=dict)
    writable: bool = True
    nearest: str = ""  # the folder nearest to the root that is there
    inodes: tuple[int, int] = (0, 0)  # all, free
    release: int = 0  # bytes of the largest one there
    ports: Mapping[int, Listener] = field(default_factory=dict)
    sudo: str = ""  # what it said when it would not
    lacks: tuple[str, ...] = ()  # what an administrator has not prepared
    forked: tuple[str, ...] = ()  # slot/process that would be reloaded with a gap


def examine(session: Session, host: Host, want: Wanted) -> Answer:
    """Asks. Raises TransportError."""
    began, clock = session.clock.monotonic(), session.clock.now()
    done = session.shell(host.name).run(_question(session, host, want), within=WITHIN)
    took = session.clock.monotonic() - began
    return _answer(done.stdout.decode("utf-8", "backslashreplace"), clock + took / 2, took)


def _question(session: Session, host: Host, want: Wanted) -> Command:
    kind = session.inventory.app.processes.kind
    lines = [ELSEWHERE, LOOK, PORTS]
    for one in kind.preparations(host, session.inventory.scope, ABSOLUTE) if kind and want.releases else ():
        # What only root may look at is not asked.
        if "/etc/sudoers" not in one.there:
            lines.append(f"( {one.there} ) >/dev/null 2>&1 || echo {quote(f'@lacks {one.what}')}")
    forked = getattr(kind, "forked", None)
    if want.releases and forked:
        lines.append(str(forked(Placement(host, BLUE, "", session.inventory.app))))
    env = {
        "ROOT": host.root,
        "PROGRAMS": " ".join(want.programs),
        "VERSIONS": " ".join(want.engines),
        "PORTS": " ".join(map(str, want.ports)),
        "SUDO": want.sudo,
    }
    return Command.shell("\n".join([*lines, "true"]), env=env)


def _answer(text: str, now: float, blur: float) -> Answer:
    rows = [line[1:].split(" ", 1) for line in text.splitlines() if line.startswith("@")]
    found: dict[str, list[str]] = {}
    for word, *rest in rows:
        found.setdefault(word, []).append(rest[0] if rest else "")

    def pairs(word: str) -> Mapping[str, str]:
        return {name: rest for name, _, rest in (row.partition(" ") for row in found.get(word, []))}

    def one(word: str) -> str:
        return found.get(word, [""])[0]

    ports = {int(port): rest.split(" ", 2) for port, rest in pairs("port").items()}
    cwds = pairs("cwd")
    may, _, nearest = one("root").partition(" ")
    clock = one("clock")
    inodes = [int(number) if number.isdigit() else 0 for number in one("inodes").split()]
    return Answer(
        shell=one("shell"),
        # `date` cuts off what is left of its second.
        skew=int(clock) + 0.5 - now if clock.isdigit() else 0.0,
        blur=blur + 0.5,
        programs=pairs("program"),
        elsewhere=pairs("elsewhere"),
        versions=pairs("version"),
        writable=may != "foreign",
        nearest=nearest,
        inodes=(inodes[0], inodes[1]) if len(inodes) == 2 else (0, 0),
        release=int(one("release")) * 1024 if one("release").isdigit() else 0,
        ports={port: _listener(rest, cwds.get(str(port), "")) for port, rest in ports.items()},
        sudo=one("sudo"),
        lacks=tuple(found.get("lacks", [])),
        forked=tuple(found.get("forked", [])),
    )


def _listener(fields: list[str], cwd: str) -> Listener:
    user, pid, command = [*fields, "", ""][:3]
    return Listener(user, pid, command, cwd)
