"""What changes the fleet: each function is one run, from taking the lock to giving it back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dojo_deploy.app.looks import due_in
from dojo_deploy.app.plans import about, choose, refuse_unless_earlier
from dojo_deploy.app.sites import Site, complete, opening
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.runs.begin import ReleaseOf
from dojo_deploy.runs.conduct import Result, conduct, go_on
from dojo_deploy.runs.which import built, earlier, present
from dojo_deploy.runs.wishes import Wishes


def deploy(
    inventory: Site = None,
    strategy: str | Strategy = "rolling",
    *,
    ref: str = "",
    artifact: str | Path = "",
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Builds `ref` (or takes `artifact`) and brings it into service.

    Raises:
        ConfigError: something is written wrong (2). RefusedError: nothing was changed, and why (10).
        LockedError: another run holds the lock (11). OpenRunError: an earlier run never ended (10).
    """
    with opening(inventory, bring_up=True) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        if about(chosen) != "build":
            raise ConfigError(f"{type(chosen).__name__} builds nothing", hint="invoke --list   has a task for it")
        wishes = complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        if artifact:  # a build may take longer than anybody keeps an idle connection
            session.warm(host.name for host in session.inventory.select(limit))
        release, path = built(session, trail, ref, artifact, chosen)
        return conduct(
            session,
            chosen,
            lambda _: release,
            wishes,
            trail,
            artifact=path,
            platform=bool(str(release.platform)),
        )


def rollback(
    inventory: Site = None,
    strategy: str | Strategy = "rollback",
    *,
    to: str = "",
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Brings an earlier release back: `to` (id, commit or ref), or the last one that passed its gates.

    What is left is marked bad in the record. Raises as `deploy`; RefusedError when there is nothing to go back to.
    """
    with opening(inventory) as session:
        chosen = choose(strategy, session.inventory, limit=limit, overrides=overrides)
        refuse_unless_earlier(chosen)
        wishes = complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        names = [host.name for host in session.inventory.select(limit)]
        find: ReleaseOf = lambda seen: earlier(seen, to, names)  # noqa: E731
        return conduct(session, chosen, find, wishes, trail, artifact=None, platform=False)


def restart(
    inventory: Site = None,
    *,
    limit: str = "",
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Restarts what runs, batch by batch. Raises as `deploy`."""
    with opening(inventory) as session:
        chosen = choose("restart", session.inventory, limit=limit, overrides=overrides)
        wishes = complete(session, wishes, limit)
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def retire(inventory: Site = None, *, now: bool = False, wishes: Wishes | None = None) -> Result:
    """Stops the colour that blue-green left standing by, when it is due, or `now`. Nothing due: nothing is done.

    Raises as `deploy`; RefusedError while the live colour is not well.
    """
    with opening(inventory) as session:
        standby, reason = due_in(session, now=now)
        if standby is None:
            return Result("", "nothing to do", reason=reason)
        chosen = choose("retire", session.inventory, overrides={"until": standby.until})
        wishes = complete(session, wishes)
        trail = EventTrail(session.clock, wishes.subscribers)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def resume(inventory: Site = None, *, wishes: Wishes | None = None) -> Result:
    """Goes on with the run that never ended, from this or any other machine. Nothing open: nothing is done."""
    with opening(inventory) as session:
        return go_on(session, complete(session, wishes), abort=False)


def abort(inventory: Site = None, *, wishes: Wishes | None = None) -> Result:
    """Undoes the run that never ended, from this or any other machine. Nothing open: nothing is done."""
    with opening(inventory) as session:
        return go_on(session, complete(session, wishes), abort=True)
