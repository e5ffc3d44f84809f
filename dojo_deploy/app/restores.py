"""A backup in the place of the live database, as functions; the tasks end here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dojo_deploy.app import plans
from dojo_deploy.app.backups import database_of
from dojo_deploy.app.sites import Site, complete
from dojo_deploy.backups import catalogue, check, kept
from dojo_deploy.backups.bring import given_up
from dojo_deploy.backups.manifest import Manifest
from dojo_deploy.clock import utc
from dojo_deploy.database import Contents, Database
from dojo_deploy.engine.executors import threads
from dojo_deploy.engine.holder import Holder
from dojo_deploy.engine.trail import EventTrail
from dojo_deploy.errors import BackupError, RefusedError
from dojo_deploy.plan import Plan
from dojo_deploy.runs.begin import look_and_plan, site_lanes
from dojo_deploy.runs.conduct import Result, Wishes, conduct
from dojo_deploy.runs.which import present
from dojo_deploy.session import OpenSession
from dojo_deploy.strategies.restore import Found, Names, Restore
from dojo_deploy.windows import diary
from dojo_deploy.windows.window import CLOSED

SAFE = "--set safety=off   restores without dumping it first; it is kept in any case"


@dataclass(frozen=True)
class Wanted:
    """What is to be restored. `backup`: its id, or the beginning of it; empty: the newest that a drill has proven.

    `undo`: instead of a backup, the database that the last restore left. `cluster`: the system identifier of the
    cluster to restore into, when it is not the one that the backup is of.
    """

    backup: str = ""
    undo: bool = False
    cluster: str = ""


def restore(
    inventory: Site,
    wanted: Wanted,
    *,
    confirm: str,
    overrides: Mapping[str, str] | None = None,
    wishes: Wishes | None = None,
) -> Result:
    """Restores beside the live database, and trades places with it; what was live is kept. `confirm`: its name, typed.

    Raises as `deploy`; RefusedError for another name, cluster or database; DamagedError for a backup that is not whole.
    """
    with database_of(inventory) as (session, database):
        if confirm != database.name:
            raise RefusedError(
                f"this puts {database.name} out of service and another in its place",
                hint=f"--confirm {database.name}   does it; --dry-run shows what is given up, and every command",
            )
        wishes = complete(session, wishes)
        trail = EventTrail(session.clock, wishes.subscribers)
        chosen = _chosen(session, database, wanted, overrides, by=wishes.by)
        return conduct(session, chosen, present, wishes, trail, artifact=None, platform=False)


def plan(inventory: Site, wanted: Wanted, *, overrides: Mapping[str, str] | None = None) -> Plan:
    """What `restore` would do now, and what it would give up. Changes nothing, and takes no lock."""
    with database_of(inventory) as (session, database), threads(site_lanes(session)) as executor:
        chosen = _chosen(session, database, wanted, overrides, by="")
        return look_and_plan(session, chosen, present, executor, platform=False)[1]


def _chosen(
    session: OpenSession, database: Database, wanted: Wanted, overrides: Mapping[str, str] | None, *, by: str
) -> Restore:
    chosen = plans.choose("restore", session.inventory, overrides=overrides)
    assert isinstance(chosen, Restore)
    migrate = chosen.migrate or getattr(plans.choose("rolling", session.inventory), "migrate", None)
    others = database.beside.others(session)
    found = _kept(database, others) if wanted.undo else _backup(session, database, wanted, others, chosen)
    found = replace(found, closed=_is_closed(session))
    now = session.clock.now()
    stamp = kept.stamp(now)
    names = Names(
        new=found.kept or kept.name_of(database.name, "restore", stamp),
        old=kept.name_of(database.name, "undone" if found.kept else "old", stamp),
        safety=catalogue.new_id(now),
        until=utc(now + chosen.keep_old_for),
        by=by or str(Holder.here()),
    )
    return replace(chosen, found=found, names=names, migrate=migrate)


def _is_closed(session: OpenSession) -> bool:
    """Whether users are away already, and somebody else's to let in again."""
    window = diary.current(session.store)
    return (window is not None and window.state == CLOSED) or session.inventory.balancer.closed(session)


def _kept(database: Database, others: Mapping[str, str]) -> Found:
    known = [one for one in kept.kept(others, database.name) if not one.was_undone]
    if not known:
        raise RefusedError(f"no restore has left anything of {database.name}", hint="invoke backup.list")
    return Found(kept=known[0].name, kept_until=known[0].until, is_missing=database.name not in others)


def _backup(
    session: OpenSession, database: Database, wanted: Wanted, others: Mapping[str, str], chosen: Restore
) -> Found:
    backups = catalogue.read(session.store)
    proven = next((backup.id for backup in backups.backups if backup.is_proven), "")
    backup = backups.find(wanted.backup or proven)
    if not wanted.backup and not proven:
        raise RefusedError(
            "no backup was ever proven by a drill",
            hint=f"invoke backup.drill   proves {backup.id}; --backup {backup.id}   restores it as it is",
        )
    manifest = check.whole(backup)
    _refuse_stranger(session, database, manifest, wanted)
    properties = manifest.properties
    if lacking := database.beside.lacking(session, properties):
        raise RefusedError(
            f"the server of {database.name} lacks roles of the backup: {', '.join(lacking)}",
            hint=f"invoke backup.roles --backup {backup.id}   prints the SQL that makes them, for a superuser; or "
            "database.ownership: user   restores without them",
        )
    if database.name in others:
        check.refuse_full(session, database, manifest)
    return Found(
        backup=backup.id,
        sha256=manifest.dump.sha256,
        identity=database.look(session).identity,
        began=manifest.began,
        comment=str(properties.get("comment") or ""),
        is_missing=database.name not in others,
        migrations=manifest.migrations,
        gives_up=_given_up(session, database, manifest, others, chosen),
    )


def _refuse_stranger(session: OpenSession, database: Database, manifest: Manifest, wanted: Wanted) -> None:
    if manifest.database != database.name:
        raise RefusedError(f"{manifest.id} is a backup of {manifest.database}, and the inventory names {database.name}")
    server = database.look(session)
    if server.identity != (wanted.cluster or manifest.identity):
        raise RefusedError(
            f"{manifest.id} is of the cluster {manifest.identity}, and {database.name} is in {server.identity}",
            hint=f"the wrong inventory? A new server for the old one: --cluster {server.identity}",
        )
    if int(server.version.partition(".")[0]) < int(manifest.server.partition(".")[0]):
        raise RefusedError(f"{manifest.id} was dumped from {manifest.server}, and the server here is {server.version}")


def _given_up(
    session: OpenSession, database: Database, manifest: Manifest, others: Mapping[str, str], chosen: Restore
) -> tuple[str, ...]:
    if database.name not in others:
        return ()
    try:
        live = database.beside.count(session)
    except BackupError as exc:
        if chosen.safety == "on":
            raise RefusedError(f"{database.name} cannot be read: {exc.message}", hint=SAFE) from exc
        return (f"nobody knows what, as {database.name} cannot be read",)
    return given_up(live, Contents(manifest.rows))
