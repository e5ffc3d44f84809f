"""Bringing a release onto a host, and taking old ones away."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable
from dataclasses import replace

from dojo_deploy.command import Command, Word, quote
from dojo_deploy.inventory import App
from dojo_deploy.plan import OnHost, Step
from dojo_deploy.release import LEGACY, Placement, Release
from dojo_deploy.secrets import Secret

PRUNE_WITHIN = 600.0  # many small files on a slow disk; past it the step has failed like any other
# Unpacked beside its place and renamed: a release folder without `.dojo/complete` never exists under its own name.
# Every program started here is started on every host, so a few words are saved wherever the shell can do it itself.
UNPACK = """\
set -eu
umask 022
[ ! -e "$DIR.partial" ] || rm -rf "$DIR.partial"
mkdir -p -m 700 "$DIR.partial/.dojo"
echo "$SHA256  $ARTIFACT" | sha256sum -c --status || { echo "the artifact arrived damaged" >&2; exit 1; }
tar -xpzf "$ARTIFACT" --no-same-owner --anchored --exclude=.dojo --exclude=./.dojo -C "$DIR.partial"
"""
COPY = """\
set -eu
umask 022
[ ! -e "$DIR.partial" ] || rm -rf "$DIR.partial"
cp -a --reflink=auto "$DONOR" "$DIR.partial"
rm -rf "$DIR.partial/.dojo"
mkdir -m 700 "$DIR.partial/.dojo"
"""
COMPLETE = """\
set -eu
echo "$RELEASE" > "$DIR.partial/REVISION"
echo "$SHA256" > "$DIR.partial/.dojo/complete"
[ ! -e "$DIR" ] || rm -rf "$DIR"
mv -T "$DIR.partial" "$DIR"
"""
WRITE = """\
set -eu
umask 077
printf %s "$AS_SHELL" > "$META/env.sh$NEW"
printf %s "$AS_JSON" > "$META/env.json$NEW"
[ -z "$NEW" ] || { mv "$META/env.sh$NEW" "$META/env.sh"; mv "$META/env.json$NEW" "$META/env.json"; }
"""
# The release is renamed first: an interrupted removal leaves no folder that looks like a release.
DISCARD = """\
set -eu
rm -rf "$DIR.partial"
[ -e "$DIR" ] || exit 0
for link in "$SLOTS"/*/current; do
  [ "$(readlink "$link" 2>/dev/null)" != "$DIR" ] || { echo "kept: $link names it"; exit 0; }
done
mv -T "$DIR" "$DIR.partial"
rm -rf "$DIR.partial"
"""
# By now the new release serves everywhere: what cannot be removed is said, and is no reason to undo it.
PRUNE = f"""\
trap '[ $? = 0 ] || echo "kept: $DIR could not be removed"; exit 0' EXIT
{DISCARD}"""


def with_environment(release: Release, app: App) -> Release:
    """The release as deployed: its artifact together with its environment, under an id that covers both.

    So a changed environment is a release of its own, proved, switched to and rolled back like any other, and no release
    that runs is ever written to. Raises ConfigError for a secret that cannot be read.
    """
    values = environment(app)
    if not values:
        return release
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
    return replace(release, id=f"{release.id}-{digest[:6]}")


def stage(place: Placement, release: Release, *, present: bool, donor: str = "", deadline: float = 300.0) -> Step:
    """Puts the release on the host with its environment and its shared files; changes nothing that runs.

    `present`: it is there already. `donor`: another release there, made of the same artifact, which is copied.
    """
    if present:
        return Step(
            "refresh environment", OnHost(_environment(place, folder=place.layout.release(release.id), fresh=False))
        )
    folder = place.layout.release(release.id)
    values = {
        "DIR": folder,
        "RELEASE": release.id,
        "SHA256": release.sha256,
    }
    if donor:
        values["DONOR"] = place.layout.release(donor)
    commands = (
        Command.shell(COPY if donor else UNPACK, env=values),
        *_link(place, folder=f"{folder}.partial"),
        *_environment(place, folder=f"{folder}.partial", fresh=True),
        Command.shell(COMPLETE, env=values),
    )
    return Step("stage", OnHost(commands, artifact=not donor), undo=discard(place, release.id), deadline=deadline)


def discard(place: Placement, release: str) -> Step:
    """Removes a release that no slot uses."""
    values = {"DIR": place.layout.release(release), "SLOTS": place.layout.slot("")}
    return Step("discard", OnHost((Command.shell(DISCARD, env=values),)))


def prune(place: Placement, *, victims: Iterable[str]) -> Step:
    """Removes the releases that the plan found to be superfluous; one that cannot be removed stays, with a word."""
    values = [{"DIR": place.layout.release(name), "SLOTS": place.layout.slot("")} for name in victims]
    commands = tuple(Command.shell(PRUNE, env=value) for value in values)
    return Step("prune", OnHost(commands), deadline=PRUNE_WITHIN)


def victims(releases: Iterable[str], *, keep: int, protected: Iterable[str], order: Iterable[str]) -> tuple[str, ...]:
    """Which releases of a host go: all but the `keep` newest by the record's `order`, and never a protected one.

    A release that the record does not know was never finished here; it counts as older than all that it knows. An
    adopted checkout never goes, and takes no other's place.
    """
    releases = [name for name in releases if not name.startswith(LEGACY)]
    rank = {name: number for number, name in enumerate(order)}
    newest_first = sorted(releases, key=lambda name: (rank.get(name, -1), name), reverse=True)
    return tuple(name for name in newest_first[max(keep, 1) :] if name not in set(protected))


def _link(place: Placement, *, folder: str) -> tuple[Command, ...]:
    """The shared files into the release; an entry that ends in `/` is a folder, made when it is missing."""
    lines, made = ["set -eu", "umask 022"], []
    together: dict[str, list[str]] = {}
    for entry in place.app.shared:
        name = entry.rstrip("/")
        path = f"{folder}/{name}"
        target = quote(path)
        lines.append(f"[ ! -e {target} ] && [ ! -L {target} ] || rm -rf {target}")
        together.setdefault(posixpath.dirname(path), []).append(quote(f"{place.layout.shared}/{name}"))
        made += [quote(f"{place.layout.shared}/{name}")] if entry.endswith("/") else []
    made += [quote(parent) for parent in together if parent != folder]
    # The slot is needed a step later; made here, it costs no program of its own.
    made.append(quote(place.layout.slot(place.slot)))
    if made:
        there = " && ".join(f"[ -d {path} ]" for path in made)
        lines.append(f"{{ {there}; }} || mkdir -p {' '.join(made)}")
    lines += [f"ln -s -t {quote(parent)} {' '.join(sources)}" for parent, sources in together.items()]
    return (Command.shell("\n".join(lines)),) if together else ()


def _environment(place: Placement, *, folder: str, fresh: bool) -> tuple[Command, ...]:
    """Writes the application's environment into the release, for shells and for Node: 0600 from the first byte.

    `fresh`: nobody reads the folder yet. Else each file is replaced by rename.
    """
    values: dict[str, Word] = {
        "META": f"{folder}/.dojo",
        "NEW": "" if fresh else ".new",
        "AS_SHELL": Environment(place.app, "sh"),
        "AS_JSON": Environment(place.app, "json"),
    }
    return (Command.shell(WRITE, env=values),)


class Environment(Secret):
    """The application's whole environment as one masked value: `env_file`'s lines, then `env`, which wins."""

    __slots__ = ("app", "form")

    def __init__(self, app: App, form: str) -> None:
        super().__init__("env", f"{app.name}.{form}")
        self.app = app
        self.form = form

    def reveal(self) -> str:
        values = environment(self.app)
        if self.form == "json":
            return json.dumps(values, indent=1)
        return "".join(f"export {name}={quote(value)}\n" for name, value in values.items())

    def __reduce__(self) -> tuple[object, ...]:
        return Environment, (self.app, self.form)


def environment(app: App) -> dict[str, str]:
    """What the application's processes will find in their environment, secrets revealed. Raises ConfigError."""
    values = parse_env(app.env_file.reveal()) if app.env_file else {}
    return {**values, **{name: _plain(value) for name, value in app.env.items()}}


def parse_env(text: str) -> dict[str, str]:
    """KEY=value lines as dotenv files have them: `#` comments, `export`, single or double quotes around a value."""
    values: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip().removeprefix("export ").lstrip()
        if not line or line.startswith("#") or "=" not in line:
            continue
        name, _, value = line.partition("=")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1].replace("\\n", "\n") if value[0] == '"' else value[1:-1]
        values[name.strip()] = value
    return values


def _plain(value: Word) -> str:
    return value.reveal() if isinstance(value, Secret) else value
