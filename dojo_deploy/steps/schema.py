"""Can a release run on the schema as it is? By the database's own table, or else by what the record knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dojo_deploy.errors import RefusedError
from dojo_deploy.migrations.folders import known_as, title
from dojo_deploy.release import Known, Migration, Observed, Release, Tool
from dojo_deploy.steps import migrated

OPTIONS = "mend it forwards (invoke deploy --ref …), or take the database back as well (invoke backup.restore)"
SHOWN = 5


def questions(seen: Observed) -> Mapping[str, str]:
    """What is to be asked before a release is brought back; nothing where no release ever migrated."""
    tools = [known.tool for known in seen.known if known.tool.run]
    judged = {known.id for known in seen.known if known.migrations is not None}
    lying = {release for host in seen.hosts.values() for release in host.releases} - judged
    return migrated.questions(tools[-1], sorted(lying)) if tools else {}


def refuse_older(release: Release, seen: Observed, *, allowed: bool, reason: str) -> tuple[str, ...]:
    """What people should know of migrations that the database has seen and `release` does not know.

    Raises RefusedError for one that the release cannot live with, unless that is `allowed`, with a reason; and for one
    of its own that the database has never seen, where nothing is going to run it.
    """
    if not any(known.tool.run for known in seen.known) and not release.tool.run:
        return ()
    own = _own(release, seen)
    if own is None:
        return (f"nobody knows which migrations {release.id} came with: look before you trust the schema",)
    newer = _newer(own, seen)
    grave = {name: found for name, found in newer.items() if found and found.grave}
    rows = [
        f"{title(name)}:{one.line}: {one.kind}: {one.reason}"
        for name, found in grave.items()
        for one in (found.grave if found else ())
    ]
    if grave and not (allowed and reason):
        raise RefusedError(
            "\n".join([f"{release.id} cannot run on the schema as it is: the database has seen", *rows[:SHOWN]]),
            hint=f"{OPTIONS}; or, if you know that it can: --allow-contract --reason 'why', which is recorded",
        )
    over = (f"past a contract, because: {reason}: {', '.join(map(title, grave))}",) if grave else ()
    unjudged = [title(name) for name, found in newer.items() if found is None]
    expands = [title(name) for name in newer if name not in grave and newer[name]]
    mild = (f"the schema stays ahead of {release.id}, which can live with it: {', '.join(expands)}",) if expands else ()
    blind = (f"seen by the database, and judged by nobody: {', '.join(unjudged)}",) if unjudged else ()
    return (*over, *mild, *blind)


def refuse_newer(release: Release, seen: Observed) -> None:
    """Raises RefusedError for a release that comes with migrations which the database has not seen: none are run."""
    history, own = migrated.history(seen), _own(release, seen)
    if history.applied is None or own is None:
        return
    lacking = [title(name) for name in own if not known_as(name) & history.applied]
    if lacking:
        raise RefusedError(
            f"the database has not seen {', '.join(lacking[:SHOWN])}, which {release.id} came with",
            hint=f"invoke deploy --ref {release.commit or release.ref or release.id}   migrates, too",
        )


def _own(release: Release, seen: Observed) -> tuple[str, ...] | None:
    """Paths of the release's migrations; None where nobody knows them."""
    if release.tool.run:
        return tuple(migration.name for migration in release.migrations)
    return migrated.lying(seen, release.id)


def _newer(own: Iterable[str], seen: Observed) -> dict[str, Migration | None]:
    """Those that the database has seen and `own` lacks: name -> what was found in it, None where nobody looked."""
    history = migrated.history(seen)
    recorded = {one.name: one for known in seen.known for one in known.migrations or ()}
    mine = frozenset().union(*map(known_as, own)) if own else frozenset[str]()
    if history.applied is None:
        ran = [one.name for known in seen.known if known.migrated for one in known.migrations or ()]
        titles = set(map(title, own))
        names = dict.fromkeys((*ran, *(history.serving or ())))
        return {name: recorded.get(name) for name in names if title(name) not in titles}
    aliases = {alias: one for one in recorded.values() for alias in known_as(one.name)}
    served = frozenset().union(*map(known_as, history.serving or ())) if history.serving else frozenset[str]()
    # What no release here ever had came before all of them, or has been squashed since.
    named = [name for name in sorted({*history.applied, *history.failed}) if name in aliases or name in served]
    return {name: aliases.get(name) for name in named if name not in mine}


def as_released(known: Known) -> Release:
    """What the record knows of a release, as one that can be brought back."""
    tool = known.tool if known.migrations is not None else Tool()
    return Release(known.id, known.commit, known.ref, migrations=known.migrations or (), tool=tool)
