"""A checkout that runs the way a runbook says, made a release in place, and its processes ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from dojo_deploy.command import Command, quote
from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import App
from dojo_deploy.plan import Gate, OnHost, Step, Target
from dojo_deploy.release import Placement
from dojo_deploy.steps import services
from dojo_deploy.steps.releases import discard

# Nothing is copied: the release is a folder of links to what the checkout holds. Its own files are none of those.
REGISTER = """\
set -eu
umask 022
rm -rf "$DIR.partial"
mkdir -p -m 700 "$DIR.partial/.dojo"
chmod 755 "$DIR.partial"
for each in "$CHECKOUT"/* "$CHECKOUT"/.[!.]* "$CHECKOUT"/..?*; do
  [ -e "$each" ] || [ -L "$each" ] || continue
  case "${each##*/}" in .git|.dojo|REVISION) ;; *) ln -s "$each" "$DIR.partial/" ;; esac
done
printf '%s\\n' "$UNCHANGED" > "$DIR.partial/.dojo/checkout"
. "$DIR.partial/.dojo/checkout"
"""
# What is there is run, whatever it is called: so it must be what was adopted.
UNCHANGED = """\
head=$(git -c safe.directory={folder} -C {folder} rev-parse HEAD) || exit 1
[ "$head" = {commit} ] || {{ echo {folder}" is at $head now, and was adopted at "{commit} >&2; exit 1; }}
"""
COMPLETE = """\
set -eu
echo "$RELEASE" > "$DIR.partial/REVISION"
echo "adopted-$RELEASE" > "$DIR.partial/.dojo/complete"
[ ! -e "$DIR" ] || rm -rf "$DIR"
mv -T "$DIR.partial" "$DIR"
"""
LOOK = """\
set -eu
case $CHECKOUT in "~/"*) CHECKOUT=$HOME/${CHECKOUT#"~/"} ;; esac
cd "$CHECKOUT"
CHECKOUT=$(pwd -P)
echo "@folder $CHECKOUT"
commit=$(git -c safe.directory="$CHECKOUT" rev-parse HEAD)
echo "@commit $commit"
git -c safe.directory="$CHECKOUT" diff --quiet HEAD || echo @changed
"""
ENDS_WITHIN = 120.0


class Strangers(Protocol):
    """What a process manager knows of processes that somebody else has started in a folder."""

    def files(self) -> Mapping[str, str]: ...
    def list(self) -> Command: ...
    def hold(self) -> Command: ...
    def revive(self) -> Command: ...
    def forget(self) -> Command: ...
    def environment(self, meta: str) -> Command: ...


def question(place: Placement, checkout: str) -> Command:
    """Prints the checkout's own path, its commit, what was changed, what is missing, and a line per process."""
    missing = "\n".join(
        f"[ -e {quote(one.script)} ] || echo @missing {quote(one.script)}"
        for one in place.app.processes.each.values()
        if one.script
    )
    found = strangers(place, checkout).list()
    return replace(found, line=f"{LOOK}{missing}\n{found.line}")


def strangers(place: Placement, checkout: str) -> Strangers:
    """Raises RefusedError for a process manager that knows none."""
    asked = getattr(place.app.processes.kind, "strangers", None)
    if asked is None:
        raise RefusedError("only processes of PM2 can be adopted", hint="app.processes.kind: pm2")
    found: Strangers = asked(checkout, place.layout.state)
    return found


def register(place: Placement, checkout: str, commit: str, *, gate: Gate) -> Step:
    """The checkout is a release, with its variables; what runs goes on. The gate is of what runs: is the port right?"""
    folder = place.layout.release(place.release)
    values = {"DIR": folder, "RELEASE": place.release, "CHECKOUT": checkout}
    unchanged = UNCHANGED.format(folder=quote(checkout), commit=quote(commit))
    theirs = strangers(place, checkout)
    commands = (
        *(services.write(path, content) for path, content in theirs.files().items()),
        Command.shell(REGISTER, env={**values, "UNCHANGED": unchanged}),
        *_shared(place.app, place.layout.shared, checkout),
        theirs.environment(f"{folder}.partial/.dojo"),
        Command.shell(COMPLETE, env=values),
    )
    return Step("register", OnHost(commands), gate=_as_found(place, gate), undo=discard(place, place.release))


def take_over(place: Placement, checkout: str, *, gate: Gate) -> Step:
    """The same code in our processes, on the same port; undone by the old ones."""
    theirs, deadline = strangers(place, checkout), services.patience(place) + ENDS_WITHIN
    back = Step(
        "give back",
        OnHost((*services.files(place), *services.stop(place), services.unlink(place), theirs.revive())),
        gate=_as_found(place, gate),
        deadline=deadline,
    )
    commands = (theirs.hold(), services.link(place), *services.start(place))
    aimed = gate.at(Target(place.host.name, place.slot, place.release))
    return Step("take over", OnHost(commands), gate=aimed, undo=back, deadline=deadline)


def forget(place: Placement, checkout: str) -> Step:
    """Until here the old processes wait in the manager's list; from here what runs now comes back after a reboot."""
    commands = (strangers(place, checkout).forget(), *services.saved(place))
    return Step("forget the old", OnHost(commands), point_of_no_return=True, keeps="the old processes are forgotten")


def _as_found(place: Placement, gate: Gate) -> Gate:
    """Whatever runs there is well; it names no release that we know."""
    return replace(gate, in_a_row=1, failures=gate.failures or gate.in_a_row).at(
        Target(place.host.name, place.slot, ""), probes=("health",)
    )


def _shared(app: App, shared: str, checkout: str) -> tuple[Command, ...]:
    """What outlives releases is what the checkout has: both write to the same uploads."""
    lines = ["set -eu", "umask 022", 'mkdir -p "$SHARED"']
    for entry in app.shared:
        name = entry.rstrip("/")
        ours, theirs = quote(f"{shared}/{name}"), quote(f"{checkout}/{name}")
        folder = quote(f"{shared}/{name}".rpartition("/")[0])
        lines.append(f"if [ -e {theirs} ] && [ ! -e {ours} ]; then mkdir -p {folder}; ln -s {theirs} {ours}; fi")
    return (Command.shell("\n".join(lines), env={"SHARED": shared}),) if app.shared else ()
