"""Which release a host's processes really run: asked of the processes, not of a link or of the application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dojo_deploy.command import Command
from dojo_deploy.errors import TransportError
from dojo_deploy.interfaces import Reading
from dojo_deploy.inventory import PROOF
from dojo_deploy.probes import aim

if TYPE_CHECKING:
    from dojo_deploy.interfaces import Completed, Session
    from dojo_deploy.plan import Target
    from dojo_deploy.release import Placement


@dataclass(frozen=True)
class ReleaseProbe:
    """`kind: release` has no keys: every configured process of the slot runs the release, in its full number.

    Without processes that can be asked (a static site, lines without a `running` one) it is the release that the
    slot's link leads to.
    """

    def check(self, session: Session, target: Target, *, within: float) -> Reading:
        place = aim.place(session, target)
        kind, wanted = place.app.processes.kind, _instances(place)
        asks = kind is not None and bool(wanted)
        if place.slot == PROOF and not asks:
            return Reading(False, "the proof's process cannot be asked for its release: it has no `running` line")
        link = Command.of("readlink", "-f", place.layout.current(place.slot))
        command = kind.running(place) if kind is not None and asks else link
        try:
            done = session.shell(target.host).run(command, within=within)
        except TransportError as exc:
            return aim.lost(exc)
        if not done.ok:
            return Reading(False, f"exit status {done.status}: {aim.excerpt(done.complaint.encode())}")
        return _processes(place, wanted, done) if asks else _link(place, done)


def _instances(place: Placement) -> Mapping[str, int]:
    """Name in the manager's list -> number; without those whose lines include none that tells what runs."""
    app = place.app.processes
    known = {name: process.instances for name, process in app.watched.items() if name in place.processes}
    if place.slot == PROOF:
        return {f"{PROOF}/{app.web}": 1} if app.web in known else {}
    return {f"{place.slot}/{name}": number for name, number in known.items()}


def _processes(place: Placement, wanted: Mapping[str, int], done: Completed) -> Reading:
    found: dict[str, Counter[str]] = {name: Counter() for name in wanted}
    for row in done.text.splitlines():
        name, _, rest = row.partition(" ")
        if name in found:
            found[name][_release(place, rest.partition(" ")[2])] += 1
    wrong = {name for name, number in wanted.items() if found[name] != Counter({place.release: number})}
    parts = []
    for name, number in wanted.items():
        runs = ", ".join(f"{count} × {release}" for release, count in sorted(found[name].items())) or "none"
        parts.append(f"{name}: {runs}" + (f", want {number} × {place.release}" if name in wrong else ""))
    return Reading(not wrong, "; ".join(parts), "process")


def _link(place: Placement, done: Completed) -> Reading:
    release = _release(place, done.text)
    return Reading(release == place.release, f"the link leads to {release}, want {place.release}", "link")


def _release(place: Placement, folder: str) -> str:
    """The release that a folder belongs to; the folder itself when it is none of ours."""
    # The root itself may be a link, and what /proc and readlink say has none.
    ours = f"{place.layout.releases}/"
    _, found, rest = folder.partition(ours if folder.startswith(ours) else "/releases/")
    gone = " (deleted)" if folder.endswith(" (deleted)") else ""
    return rest.removesuffix(gone).partition("/")[0] + gone if found else aim.excerpt(folder.encode())
