"""What runs: proving a release on a side port, switching a slot to it, going back."""

from __future__ import annotations

from dataclasses import replace

from dojo_deploy.command import Command
from dojo_deploy.inventory import PROOF
from dojo_deploy.plan import Gate, OnHost, Step, Target
from dojo_deploy.release import Placement

# One rename: a reader of the link finds the old release or the new one, never nothing.
SWITCH = """\
set -eu
[ -f "$RELEASE_DIR/.dojo/complete" ] || { echo "$RELEASE_DIR is not a complete release" >&2; exit 1; }
[ ! -f "$RELEASE_DIR/.dojo/checkout" ] || . "$RELEASE_DIR/.dojo/checkout"
[ -d "${CURRENT%/*}" ] || mkdir -p "${CURRENT%/*}"
ln -sfn "$RELEASE_DIR" "$CURRENT.$$"
mv -T "$CURRENT.$$" "$CURRENT"
echo "$AT $COLOUR $RELEASE" >> "$REVISIONS"
"""
UNLINK = 'rm -f "$CURRENT"; echo "$AT $COLOUR -" >> "$REVISIONS"'
WRITE = (
    'set -eu; [ -d "${FILE%/*}" ] || mkdir -p "${FILE%/*}"; printf %s "$CONTENT" > "$FILE.new"; mv "$FILE.new" "$FILE"'
)


def prove(place: Placement, gate: Gate) -> tuple[Step, ...]:
    """Starts one instance from the release's own folder on the proof port, holds it to the gate, and ends it again."""
    manager = place.app.processes.kind
    if manager is None or not place.host.port(place.app.processes.web, PROOF):
        return ()
    proof = replace(place, slot=PROOF)
    commands = manager.prove(proof)
    if not commands:
        return ()
    deadline = patience(place)
    end = Step("end proof", OnHost(manager.unprove(proof)), deadline=deadline)
    target = Target(place.host.name, PROOF, place.release)
    # The gate is judged first and the proof ended after it; should the gate fail, the undo ends the proof.
    return (Step("prove", OnHost((*files(proof), *commands)), gate=gate.at(target), undo=end, deadline=deadline), end)


def switch(place: Placement, *, back_to: str, gate: Gate, was_well: bool = True) -> Step:
    """The slot's link and its processes, as one step: apart, an undo would reload before the link is back.

    `back_to` is what was observed; empty on a bare host, where undoing means stopping. A host that was not `was_well`
    is put back as it was found, without a gate that it could not have passed before either.
    """
    target = Target(place.host.name, place.slot, place.release)
    deadline = patience(place)
    if back_to:
        old = replace(place, release=back_to)
        undo = Step(
            "switch back",
            OnHost((link(old), *start(old))),
            gate=gate.at(replace(target, release=back_to)) if was_well else None,
            deadline=deadline,
        )
    else:
        undo = Step("stop", OnHost((*stop(place), unlink(place))), deadline=deadline)
    return Step("switch", OnHost((link(place), *start(place))), gate=gate.at(target), undo=undo, deadline=deadline)


def restart(place: Placement, *, gate: Gate) -> Step:
    """The same release once more; undone by trying again, so that a host that stays sick gets no requests back."""
    aimed = gate.at(Target(place.host.name, place.slot, place.release))
    deadline = patience(place)
    again = Step("start again", OnHost(start(place)), gate=aimed, deadline=deadline)
    return Step("restart", OnHost(start(place)), gate=aimed, undo=again, deadline=deadline)


def save(place: Placement) -> tuple[Step, ...]:
    """What runs now comes back after a reboot."""
    commands = saved(place)
    return (Step("save processes", OnHost(commands)),) if commands else ()


def saved(place: Placement) -> tuple[Command, ...]:
    """The same, as commands."""
    manager = place.app.processes.kind
    return manager.save(place) if manager else ()


def link(place: Placement) -> Command:
    """The slot's link leads to the placement's release."""
    return Command.shell(SWITCH, env={**place.variables, "REVISIONS": place.layout.revisions})


def unlink(place: Placement) -> Command:
    """Nothing is in the slot."""
    return Command.shell(UNLINK, env={**place.variables, "REVISIONS": place.layout.revisions})


def start(place: Placement) -> tuple[Command, ...]:
    """The placement's processes run what the link names, with its settings."""
    manager = place.app.processes.kind
    return (*files(place), *manager.start(place)) if manager else ()


def files(place: Placement) -> tuple[Command, ...]:
    """What processes of the slot find whenever they start, and no start."""
    manager = place.app.processes.kind
    return tuple(write(path, content) for path, content in manager.files(place).items()) if manager else ()


def stop(place: Placement) -> tuple[Command, ...]:
    """None of the placement's processes runs."""
    manager = place.app.processes.kind
    return manager.stop(place) if manager else ()


def write(path: str, content: str) -> Command:
    """A file on the host, replaced whole; no secrets."""
    return Command.shell(WRITE, env={"FILE": path, "CONTENT": content})


def patience(place: Placement) -> float:
    """Seconds for starting or reloading: each instance may take its own time to stop and to come up, one by one."""
    each = place.app.processes.each.values()
    return 30.0 + sum(process.instances * (process.ready_within + process.stop_within) for process in each)
