"""What our gates ask beside the health of the application."""

from __future__ import annotations

from dataclasses import dataclass

from dojo_deploy.command import Command
from dojo_deploy.errors import TransportError
from dojo_deploy.interfaces import Reading, Session
from dojo_deploy.plan import Target
from dojo_deploy.probes import aim


@dataclass(frozen=True)
class Room:
    """Whether the file system of the releases has at least `free` bytes left. `kind: our_company.probes:Room`."""

    free: int = 1 << 30

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        root = aim.place(session, target).layout.root
        try:
            done = session.shell(target.host).run(Command(("df", "-Pk", str(root))), within=within)
        except TransportError as exc:
            return aim.lost(exc)
        if not done.ok:
            return Reading(False, done.complaint)
        left = int(done.text.splitlines()[-1].split()[3]) * 1024
        return Reading(left >= self.free, f"{left >> 20:,} MiB free of {self.free >> 20:,} that must be")
