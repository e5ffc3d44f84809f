"""The operator's own question: a shell line on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.command import Command
from dojo_deploy.errors import TransportError
from dojo_deploy.interfaces import Completed, Reading
from dojo_deploy.probes import aim

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Session
    from dojo_deploy.plan import Target

GRACE = 2.0  # for a killed command to say so

# What the run says wins over the release's own file: its PORT is that of the live slot, whatever is probed.
SOURCE = 'set -a; [ ! -r "$DOJO_ENV" ] || . "$DOJO_ENV"; set +a'
RUN = 'exec timeout -k 1 "$DOJO_LIMIT" sh -c "$DOJO_LINE"'


@dataclass(frozen=True)
class CommandProbe:
    """Keys of a probe with `kind: command`. `run` sees the release's environment and `$RELEASE_DIR`, `$PORT`, ….

    It runs in the release's folder, or in the current one when the target names none; exit status 0 is a success.
    """

    run: str

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        asked = self.question(session, target, within=within)
        try:
            done = session.shell(target.host).run(asked, within=within + GRACE)
        except TransportError as exc:
            return aim.lost(exc)
        return self.judge(done, within=within)

    def question(self, session: Session, target: Target, *, within: float) -> Command:
        """What is asked; it ends by itself `within` so many seconds, and a little."""
        place = aim.place(session, target)
        layout = place.layout
        folder = layout.release(place.release) if place.release else layout.current(place.slot)
        file = layout.env(place.release) if place.release else f"{folder}/.dojo/env.sh"
        source = Command.shell(SOURCE, cwd=folder, env={"DOJO_ENV": file})
        limits = {"DOJO_LIMIT": f"{within:.3f}", "DOJO_LINE": self.run}
        run = Command.shell(RUN, env={**place.variables, **limits})
        return Command.shell(f"{source}\n{run}")

    def judge(self, done: Completed, *, within: float) -> Reading:
        """The answer to `question`."""
        lines = (done.text or done.complaint).splitlines()
        last = aim.excerpt(lines[-1].encode()) if lines else ""
        if done.status in (124, 137):
            return Reading(False, f"no end within {within:g} s{': ' if last else ''}{last}")
        return Reading(done.ok, f"exit status {done.status}: {last}")
