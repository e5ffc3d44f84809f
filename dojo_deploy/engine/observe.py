"""A look at every host: read-only, one round trip each, and one question to what serves there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace

from dojo_deploy.builds.platform import PLATFORM, parse_platform
from dojo_deploy.command import Command, quote
from dojo_deploy.engine.record import Record
from dojo_deploy.errors import BalancerError, TransportError
from dojo_deploy.interfaces import Session
from dojo_deploy.inventory import BLUE, GREEN, Host, Inventory
from dojo_deploy.plan import Target
from dojo_deploy.release import HostSeen, Layout, Observed, Placement, Platform

LOOK_WITHIN = 30.0
ASK_WITHIN = 5.0
# The nearest folder that exists stands for one that does not yet: the free space is the same.
ROOM = """\
here=$ROOT; while [ ! -d "$here" ] && [ "$here" != / ]; do here=${here%/*}; here=${here:-/}; done
set -- $(LC_ALL=C df -Pk "$here"); shift 10; printf '@free %s\\n' "$1"
"""
LOOK = """\
for link in "$ROOT"/slots/*/current; do
  [ -L "$link" ] || continue
  slot=${link%/current}; printf '@current %s %s\\n' "${slot##*/}" "$(readlink "$link")"
done
for mark in "$ROOT"/releases/*/.dojo/complete; do
  [ -f "$mark" ] || continue
  read -r sha < "$mark"; folder=${mark%/.dojo/complete}; printf '@release %s %s\\n' "${folder##*/}" "$sha"
done
[ ! -f "$ROOT/.dojo/fence" ] || { read -r line < "$ROOT/.dojo/fence"; printf '@fence %s\\n' "$line"; }
"""


class Looking:
    """A look at `hosts`, all at once, and at the balancer, which has begun; `observed` waits for its end.

    `record` reads the record, meanwhile. `platform`: also ask for what an artifact depends on; it costs a start of
    Node. `optional`: hosts of which nothing is wanted but whether they serve; one that cannot be asked is left out.
    """

    def __init__(
        self,
        session: Session,
        hosts: Iterable[Host],
        executor: Executor,
        *,
        record: Callable[[], Record] = Record,
        platform: bool = True,
        optional: frozenset[str] = frozenset(),
    ) -> None:
        self._session = session
        self._optional = optional
        self.record = executor.submit(record)
        self._warnings = executor.submit(session.inventory.balancer.warnings, session)
        self._hosts = {
            host.name: executor.submit(_examine, session, host, self.record, platform=platform) for host in hosts
        }

    def observed(self) -> Observed:
        """Raises the first TransportError, naming all that fail, or BalancerError for a balancer that serves some of
        the hosts and could not be changed."""
        site, found = self._session.inventory, self._found()
        record = self.record.result()
        slot = record.live or BLUE
        serving = slots_served(self._session)
        if serving:
            drained = frozenset(found) - frozenset(serving[slot])
        else:
            backends = tuple(one for one in site.backends(slot) if one.host in found)
            drained = site.balancer.drained(self._session, backends)
        return Observed(
            hosts={name: replace(seen, drained=name in drained) for name, seen in found.items()},
            known=record.releases,
            live=slot,
            warnings=_told(self._warnings, serves=site.balancer.can_drain and bool(found.keys() - drained)),
            serving=serving,
            standby=record.standby,
        )

    def _found(self) -> dict[str, HostSeen]:
        found: dict[str, HostSeen] = {}
        failures: list[TransportError] = []
        for name, future in self._hosts.items():
            try:
                found[name] = future.result()
            except TransportError as exc:
                if name not in self._optional:
                    failures.append(exc)
        if failures:
            first = failures[0]
            if len(failures) > 1:
                first.message += f" (and {len(failures) - 1} more: {', '.join(exc.host for exc in failures[1:])})"
            raise first
        return found


class RecordOnly(Looking):
    """In place of a look, for a run that leaves the fleet alone: it must be possible while hosts are away."""

    def __init__(self, executor: Executor, record: Callable[[], Record]) -> None:  # nothing of a look is begun
        self.record = executor.submit(record)

    def observed(self) -> Observed:
        record = self.record.result()
        return Observed({}, known=record.releases, live=record.live or BLUE, standby=record.standby)


def slots_served(session: Session) -> Mapping[str, tuple[str, ...]]:
    """Slot -> hosts that get new requests in it; empty where nobody can tell. Raises BalancerError."""
    site = session.inventory
    if not site.balancer.can_switch or not site.app.processes.web:
        return {}
    backends = tuple(one for slot in (BLUE, GREEN) for one in site.backends(slot))
    found = site.balancer.serving(session, backends)
    return {slot: tuple(one.host for one in backends if one.slot == slot and one in found) for slot in (BLUE, GREEN)}


def look(session: Session, host: Host, *, platform: bool = True, room: bool = True) -> HostSeen:
    """One host. Raises TransportError when it cannot be asked."""
    site = session.inventory
    done = session.shell(host.name).run(question(site, host, platform=platform, room=room), within=LOOK_WITHIN)
    if not done.ok:
        raise TransportError(f"could not be looked at: {done.complaint}", host=host.name)
    return answer(host, done.stdout.decode("utf-8", "backslashreplace"))


def _told(warnings: Future[tuple[str, ...]], *, serves: bool) -> tuple[str, ...]:
    try:
        return warnings.result()
    except BalancerError as exc:
        if serves:
            raise  # a balancer that cannot be changed now fails the first drain, and its undo
        # Before its first deployment nginx may rightly refuse a site whose upstream is not there yet.
        return (exc.message,)


def _examine(session: Session, host: Host, record: Future[Record], *, platform: bool) -> HostSeen:
    seen = look(session, host, platform=platform)
    slot = record.result().live or BLUE
    return replace(seen, sick=_missing(session.inventory, seen, slot) or _complaint(session, host, seen, slot))


def _missing(site: Inventory, seen: HostSeen, slot: str) -> str:
    """Processes of which fewer run than configured. What an operator's own line prints is no count."""
    counts = {
        name: (len(seen.running.get(f"{slot}/{name}", ())), process.instances)
        for name, process in site.app.processes.watched.items()
        if not process.running and seen.current.get(slot)
    }
    return "; ".join(f"{runs} of {wanted} {name} run" for name, (runs, wanted) in counts.items() if runs < wanted)


def _complaint(session: Session, host: Host, seen: HostSeen, slot: str) -> str:
    site, current = session.inventory, seen.current.get(slot, "")
    probe = site.probes.get("health")
    if not probe or not current or not host.port(site.app.processes.web, slot):
        return ""
    reading = probe.check(session, Target(host.name, slot, current), within=ASK_WITHIN)
    return "" if reading.ok else reading.detail


def question(site: Inventory, host: Host, *, platform: bool, room: bool, running: bool = True) -> Command:
    """The one command that asks a host everything; `room`: its free space too, `running`: its processes."""
    layout = Layout(host.root)
    lines = [ROOM, LOOK] if room else [LOOK]
    for entry in site.app.shared:
        if not entry.endswith("/"):
            path = f"{layout.shared}/{entry}"
            lines.append(f"[ -e {quote(path)} ] || printf '@missing %s\\n' {quote(entry)}")
    if platform:
        lines.append(f"printf '@platform %s\\n' \"$({PLATFORM})\"")
    kind = site.app.processes.kind
    if kind is not None and running:
        lines += ["echo @running", str(kind.running(Placement(host, BLUE, "", site.app)))]
    lines.append("true")
    return Command.shell("\n".join(lines), env={"ROOT": host.root})


def answer(host: Host, text: str) -> HostSeen:
    """What the answer says. Lines that are no part of it, such as a greeting, are passed over."""
    layout = Layout(host.root)
    current: dict[str, str] = {}
    sha256: dict[str, str] = {}
    running: dict[str, tuple[str, ...]] = {}
    missing: list[str] = []
    platform, free, open_run, in_running = Platform(), 0, "", False
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if in_running:
            name, _, folder = rest.partition(" ")
            running[word] = (*running.get(word, ()), _release_of(folder, layout) if name else "")
        elif word == "@running":
            in_running = True
        elif word == "@free":
            free = int(rest) * 1024 if rest.isdigit() else 0
        elif word == "@current":
            slot, _, target = rest.partition(" ")
            current[slot] = _release_of(target, layout)
        elif word == "@release":
            name, _, sha = rest.partition(" ")
            sha256[name] = sha
        elif word == "@missing":
            missing.append(rest)
        elif word == "@platform":
            platform = parse_platform(rest)
        elif word == "@fence":
            _, _, run, state = [*rest.split(), "", "", "", ""][:4]
            open_run = run if state == "open" else ""
    return HostSeen(
        host=host.name,
        current=current,
        running=running,
        releases=tuple(sorted(sha256)),
        sha256=sha256,
        missing=tuple(missing),
        platform=platform,
        free=free,
        open_run=open_run,
    )


def _release_of(folder: str, layout: Layout) -> str:
    """The release that a folder belongs to; the folder itself when it lies outside `releases/`."""
    head, _, tail = folder.partition(layout.releases + "/")
    return tail.split("/", 1)[0] if not head and tail else folder
