"""Which release a run is about: one that is built now, CI's artifact, an earlier one, or what runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dojo_deploy.engine.record import Record
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import OutputWritten, StageFinished, StageStarted
from dojo_deploy.interfaces import Strategy
from dojo_deploy.plan import CONTROLLER
from dojo_deploy.release import Observed, Release, Standby
from dojo_deploy.session import OpenSession, work_folder
from dojo_deploy.steps.database import Migrate, with_migrations
from dojo_deploy.steps.releases import with_environment
from dojo_deploy.steps.schema import as_released


def built(
    session: OpenSession, trail: EventTrail, ref: str, artifact: str | Path, strategy: Strategy
) -> tuple[Release, Path]:
    """The release and its artifact: built from `ref`, or CI's, where it is given; with its migrations, if any run."""
    release, path = _built(session, trail, ref, artifact)
    settings = getattr(strategy, "migrate", None)
    return (with_migrations(release, path, settings) if isinstance(settings, Migrate) else release), path


def _built(session: OpenSession, trail: EventTrail, ref: str, artifact: str | Path) -> tuple[Release, Path]:
    from dojo_deploy import builds

    site, clock = session.inventory, session.clock
    cache = work_folder(site) / "artifacts" / site.scope
    if artifact:
        taken = builds.adopt(Path(artifact), site)
        return with_environment(taken.release, site.app), taken.path
    started = clock.monotonic()
    where = CONTROLLER if site.app.build.on == "local" else site.app.build.on
    trail.emit(StageStarted(stage="build", hosts=(where,)))
    ok = False
    try:
        made = builds.build(
            site,
            ref=ref,
            work=cache,
            cache=cache,
            say=lambda line: trail.emit(OutputWritten(step="build", host=where, line=line)),
            clock=clock,
            shells=session.shell,
        )
        ok = True
    finally:
        trail.emit(StageFinished(stage="build", seconds=round(clock.monotonic() - started, 3), ok=ok))
    return with_environment(made.release, site.app), made.path


def earlier(seen: Observed, to: str, hosts: Iterable[str]) -> Release:
    """The one that `to` names, or the last that passed its gates before what `hosts` run now.

    Raises RefusedError when there is none.
    """
    if not to:
        good = seen.last_good(other_than=_newest(seen, hosts))
        if good is None:
            raise RefusedError("the record names no earlier release that passed its gates", hint="invoke releases")
        return as_released(good)
    for known in reversed(seen.known):
        if to in (known.id, known.ref, known.commit) or (len(to) >= 6 and known.commit.startswith(to)):
            return as_released(known)
    if any(to in found.releases for found in seen.hosts.values()):
        return Release(to)
    raise RefusedError(f"no release {to!r} in the record, and none on the hosts", hint="invoke releases")


def present(seen: Observed) -> Release:
    """What most hosts run now."""
    counted = Counter(current for host in seen.hosts if (current := seen.current(host)))
    found = counted.most_common(1)
    name = found[0][0] if found else ""
    known = next((known for known in seen.known if known.id == name), None)
    return as_released(known) if known else Release(name)


def due(record: Record, now: str, *, early: bool) -> tuple[Standby | None, str]:
    """The standby that is to be retired at `now` (UTC), or why there is none; `early`: whenever it was to be."""
    standby = record.standby
    if standby is None:
        return None, "nothing stands by"
    if early or now >= standby.until:
        return standby, ""
    named = f"{standby.release or 'an older colour'} stands by in {standby.slot} until {standby.until}"
    return None, f"{named}; --now retires it before"


def _newest(seen: Observed, hosts: Iterable[str]) -> str:
    """Of what `hosts` run, the release that the record took up last: that one is left."""
    rank = {known.id: number for number, known in enumerate(seen.known)}
    running = {current for host in hosts if host in seen.hosts and (current := seen.current(host))}
    if not running and seen.standby:  # the live colour's hosts are lost: the record's word
        newest = seen.last_good(other_than="")
        return newest.id if newest else ""
    return max(running, key=lambda release: rank.get(release, -1), default="")
