"""What a host itself remembers of runs: its fence, and the record of a run's steps."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.command import Command
from dojo_deploy.errors import LostError, TransportError
from dojo_deploy.interfaces import Completed, Shell
from dojo_deploy.release import Layout

BUSY = 75  # EX_TEMPFAIL
READ_SECONDS = 30.0
TORN = " ~ torn"  # what a job puts after a line that a full disk or a power cut left unfinished
READ_RECORD = r"""
[ -e "$STATE" ] || exit 0
exec 9>>"$STATE/fence.lock" && { flock -w "$WAIT" 9 || exit 75; } || exit 1
if [ -n "$STORE" ]; then
  t=$STORE g=0 r=$RUN o=closed c=$SCOPE
  [ ! -e "$STATE/fence" ] || read -r t g r o c <"$STATE/fence"
  if [ "$t $c" = "$STORE $SCOPE" ] && [ "$g" -lt "$GENERATION" ]; then
    (umask 077; echo "$t $GENERATION $r $o $c" >"$STATE/fence.new") && mv -f "$STATE/fence.new" "$STATE/fence"
  fi
fi
[ ! -e "$RECORD" ] || cat "$RECORD"
"""


@dataclass(frozen=True)
class Fence:
    """Who may change this host: generations from this one on, of this store; while open, this run alone."""

    store_id: str
    generation: int
    run: str
    is_open: bool
    scope: str


def record(
    shell: Shell,
    layout: Layout,
    run: str,
    *,
    wait: float = 60.0,
    lease: tuple[str, int] = ("", 0),
    scope: str = "",
) -> Mapping[str, int | None]:
    """Exit status per step that began in `run` on this host; None: it never ended, and nothing of it runs any more.

    Waits up to `wait` seconds for a job that is still running. With a `lease` (store, generation) the fence is raised
    to it in the same moment: a job of an older session that is still on its way would begin what nobody knows of.
    Raises LostError when a job runs on, TransportError.
    """
    store, generation = lease
    env = {
        "STORE": store,
        "GENERATION": str(generation),
        "RUN": run,
        "SCOPE": scope,
        "STATE": layout.state,
        "WAIT": f"{wait:g}",
        "RECORD": posixpath.join(layout.run(run), "record"),
    }
    done = shell.run(Command.shell(READ_RECORD, env=env), within=wait + READ_SECONDS)
    if done.status == BUSY:
        raise LostError(f"a job is still running after {wait:g} s", host=shell.host.name)
    steps: dict[str, int | None] = {}
    for line in _lines(shell, done):
        if line.endswith(TORN):
            continue
        word, _, rest = line.partition(" ")
        if word == "begin":
            steps[rest] = None
        elif word == "end":
            step, _, end = rest.rpartition(" ")
            steps[step] = int(end.partition("@")[0])
    return steps


def fence(shell: Shell, layout: Layout) -> Fence | None:
    """The host's fence as it stands, or None where no run has ever been. Raises TransportError."""
    path = posixpath.join(layout.state, "fence")
    done = shell.run(Command.shell('[ ! -e "$FENCE" ] || cat "$FENCE"', env={"FENCE": path}), within=READ_SECONDS)
    lines = _lines(shell, done)
    if not lines:
        return None
    try:
        store, generation, run, state, scope = lines[0].split(" ")
        return Fence(store, int(generation), run, state == "open", scope)
    except ValueError as exc:
        raise TransportError(f"{path} cannot be read: {lines[0]!r}", host=shell.host.name) from exc


def _lines(shell: Shell, done: Completed) -> list[str]:
    if not done.ok:
        raise TransportError(f"its state cannot be read: {done.complaint}", host=shell.host.name)
    # The last line is whole only with its newline: a torn one never counted.
    return done.stdout.decode("utf-8", "backslashreplace").split("\n")[:-1]
