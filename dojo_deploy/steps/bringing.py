"""A new release onto its hosts: whether they can take it, how it comes there, and what makes room for it afterwards."""

from __future__ import annotations

from collections.abc import Iterable

from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Host
from dojo_deploy.plan import Step
from dojo_deploy.release import Observed, Placement, Release
from dojo_deploy.steps import releases, services


def bring(place: Placement, release: Release, seen: Observed) -> Step:
    """Stages the release: its artifact, a copy of one that is there, or only its environment where it lies already."""
    found = seen.hosts[place.host.name].sha256
    donor = next((name for name in sorted(found) if found[name] == release.sha256), "")
    present = found.get(release.id) == release.sha256
    return releases.stage(place, release, present=present, donor=donor)


def finish(place: Placement, release: Release, seen: Observed) -> tuple[Step, ...]:
    """What runs now comes back after a reboot, and releases that nobody can want any more go."""
    found = seen.hosts[place.host.name]
    good = seen.last_good(other_than=release.id)
    doomed = releases.victims(
        {*found.releases, release.id},
        keep=place.app.keep,
        protected={release.id, *found.current.values(), *((good.id,) if good else ())},
        order=[*(known.id for known in seen.known), release.id],
    )
    return (*services.save(place), *((releases.prune(place, victims=doomed),) if doomed else ()))


def refuse_unfit(places: Iterable[Placement], release: Release, seen: Observed) -> None:
    """Raises RefusedError for a missing shared file, a foreign platform, another build of it, or too little room."""
    for place in places:
        host = place.host
        found = seen.hosts[host.name]
        _refuse_missing(host, found.missing)
        different = release.platform.differs(found.platform)
        if different:
            raise RefusedError(
                f"{host.name} cannot run {release.id}: {'; '.join(different)}",
                hint=f"build it there (build.on: {host.name}), or make the host's Node the same",
            )
        held = found.sha256.get(release.id)
        served = release.id in found.current.values() or any(
            known.passed for known in seen.known if known.id == release.id
        )
        if held and held != release.sha256 and served:
            raise RefusedError(
                f"{host.name} has another build of {release.id} than the one at hand, and it has served",
                hint=f"deploy a new commit, or go back to the one there: invoke rollback --to {release.id}",
            )
        # The archive and, unpacked, about four times its size, lie there together for a moment.
        needed = 5 * release.size if held != release.sha256 else 0
        if found.free and found.free < needed:
            raise RefusedError(
                f"{host.name} has {found.free // 2**20} MiB free where releases go, and needs {needed // 2**20}",
                hint=f"lower app.keep, or free some room below {host.root}",
            )


def _refuse_missing(host: Host, missing: tuple[str, ...]) -> None:
    if missing:
        target = f"{host.ssh.user}@{host.address}:{host.root}/shared/{missing[0]}"
        raise RefusedError(
            f"{host.name} lacks the shared file {', '.join(missing)}",
            hint=f"scp -P {host.ssh.port} {missing[0]} {target}",
        )
