"""Backups of the database: made, listed, read again, restored on trial, thinned out, watched."""

from __future__ import annotations

import json as json_
from dataclasses import asdict
from typing import Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended
from dojo_deploy.tasks.restore import restore as restore
from dojo_deploy.tasks.throughput import progress

FAILED, ALARM = 20, 30


@command("inventory", "json")
def create(context: Context, inventory: str = "", json: bool = False) -> None:
    """Dump the database into the store, and read it back.

    It counts from the moment its manifest is written, which is last.
    """
    from dojo_deploy.app import backups

    with ended(json=json), progress(quiet=json) as tell:
        manifest = backups.back_up(inventory or None, tell=tell)
    if json:
        _print(_printable(manifest))
    else:
        print(
            f"{manifest.id}: {manifest.database}, {sum(manifest.rows.values()):,} rows in {len(manifest.rows)} tables, "
            f"{_size(manifest.dump.size)}, read back, {manifest.seconds:.1f} s"
        )


@command("inventory", "json")
def list(context: Context, inventory: str = "", json: bool = False) -> None:
    """The backups there are, newest first."""
    from dojo_deploy.app import backups

    with ended(json=json):
        found = backups.listed(inventory or None)
    if json:
        _print([{**asdict(each), "manifest": each.manifest and _printable(each.manifest)} for each in found.backups])
        return
    for backup in found.backups:
        print(_row(backup))
    if not found.backups:
        print("no backup yet: invoke backup.create")
    if found.leftovers:
        print(
            f"{len(found.leftovers)} objects of unfinished backups: invoke backup.prune removes them when they are over"
        )


@command("inventory", "backup", "json")
def verify(context: Context, backup: str = "", inventory: str = "", json: bool = False) -> None:
    """Read and hash a whole backup again; damage ends 20."""
    from dojo_deploy.app import backups

    with ended(json=json), progress(quiet=json) as tell:
        manifest = backups.verify(inventory or None, backup=backup, tell=tell)
    if json:
        _print({"backup": manifest.id, "sha256": manifest.dump.sha256, "size": manifest.dump.size})
    else:
        print(f"{manifest.id}: all {manifest.dump.size:,} bytes are what was dumped")


@command("inventory", "backup", "json")
def drill(context: Context, backup: str = "", inventory: str = "", json: bool = False) -> None:
    """Restore a backup on trial, count, and write the proof.

    It is restored beside the live database, which stays as it is, and removed afterwards.
    """
    from dojo_deploy.app import backups

    with ended(json=json), progress(quiet=json) as tell:
        proof = backups.drill(inventory or None, backup=backup, tell=tell)
    if json:
        _print(asdict(proof))
    elif not proof.wrong:
        rows, tables = sum(proof.rows.values()), len(proof.rows)
        print(f"{proof.backup}: proven, {rows:,} rows in {tables} tables came back in {proof.seconds:.1f} s")
    if proof.wrong:
        raise Exit("" if json else "\n  ".join((f"{proof.backup} does not come back:", *proof.wrong)), code=FAILED)


@command("inventory", "backup")
def roles(context: Context, backup: str = "", inventory: str = "") -> None:
    """Print the SQL that makes a backup's roles.

    For a superuser of a new server, before a restore. It may hold their passwords' hashes.
    """
    from dojo_deploy.app import backups

    with ended():
        print(backups.roles(inventory or None, backup=backup), end="")


@command("inventory", "confirm", "json")
def prune(context: Context, confirm: bool = False, inventory: str = "", json: bool = False) -> None:
    """Show which backups may go; --confirm removes them."""
    from dojo_deploy.app import backups

    with ended(json=json):
        pruned = backups.prune(inventory or None, confirmed=confirm)
    if json:
        verdicts = [{"backup": verdict.backup.id, "kept_as": verdict.why} for verdict in pruned.verdicts]
        kept = [asdict(one) for one in pruned.kept]
        more = {"leftovers": pruned.leftovers, "kept": kept, "dropped": pruned.dropped, "done": pruned.done}
        _print({"verdicts": verdicts, **more})
        return
    for verdict in pruned.verdicts:
        print(f"{verdict.backup.id}  {'keep: ' + ', '.join(verdict.why) if verdict.why else 'goes'}")
    for key in pruned.leftovers:
        print(f"{key}  goes: never finished")
    for one in pruned.kept:
        why = "goes" if one.name in pruned.dropped else f"keep: it was live, until {one.until}"
        print(f"{one.name}  {why}")
    for name in sorted(set(pruned.dropped) - {one.name for one in pruned.kept}):
        print(f"{name}  goes: left by a restore or a drill that was killed")
    if (pruned.goes or pruned.leftovers or pruned.dropped) and not confirm:
        print("nothing was removed; --confirm removes what goes")


@command("inventory", "kind", "install")
def schedule(context: Context, kind: str = "systemd", install: bool = False, inventory: str = "") -> None:
    """A nightly backup, as systemd or cron want it.

    At 02:00 UTC, and a drill on Sundays; --install.
    """
    from dojo_deploy.app import schedules

    with ended():
        print(schedules.schedule(inventory or None, kind=kind, install=install), end="")


@command("inventory", "json")
def status(context: Context, inventory: str = "", json: bool = False) -> None:
    """Whether there is a backup to rely on: ends 30 if not.

    An alarm is one that is older than 26 hours, far smaller than those before it, or never proven by a drill.
    """
    from dojo_deploy.app import backups

    with ended(json=json):
        health = backups.health(inventory or None)
    if json:
        newest, proven = (found and found.id for found in (health.newest, health.proven))
        _print({"newest": newest, "proven": proven, "alarms": health.alarms})
    else:
        print(f"newest  {_row(health.newest) if health.newest else 'none'}")
        print(f"proven  {_row(health.proven) if health.proven else 'none'}")
        for text in health.alarms:
            print(f"ALARM   {text}")
    if health.alarms:
        raise Exit(code=ALARM)


def _printable(manifest: Any) -> dict[str, Any]:
    """Without the settings of the database and its roles, in which people keep secrets."""
    return {name: value for name, value in asdict(manifest).items() if name != "properties"}


def _print(value: Any) -> None:
    print(json_.dumps(value, indent=2))


def _row(backup: Any) -> str:
    manifest, proof = backup.manifest, backup.proof
    if manifest is None:
        return f"{backup.id}  damaged: {backup.damage}"
    state = "not proven yet" if not proof else f"proven {proof.at[:16]}Z" if not proof.wrong else "FAILED its drill"
    rows = f"{sum(manifest.rows.values()):,} rows"
    return f"{backup.id}  {_size(manifest.dump.size):>9}  {rows:>15}  {manifest.release or '-':<20} {state}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
