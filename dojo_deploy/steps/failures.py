"""What people read when a migration fails: what it means, and what to type."""

from __future__ import annotations

from dojo_deploy.command import quote
from dojo_deploy.release import Placement


def explained(place: Placement) -> tuple[tuple[str, str], ...]:
    """Pattern -> text, for the step that migrates: the first that its last lines match is told."""
    folder = quote(place.layout.release(place.release))
    where = f"on {place.host.name}, in {folder}, after `. .dojo/env.sh`"
    resolve_, unnamed = f"{where}: {resolve('{name}')}", f"{where}: {resolve('NAME')}"
    return (
        (
            r"dojo: another migration is under way: (?P<who>.*)",
            "another session holds the lock of migrations: {who}; wait for it, or end it with "
            "pg_terminate_backend(pid), and deploy again. Nothing was migrated",
        ),
        (
            r"dojo: an earlier attempt of this run stopped half-way: (?P<name>\S+)",
            f"an earlier attempt of this run left {{name}} half done: mend what it left, then {resolve_}",
        ),
        (
            r"dojo: an earlier attempt began and never ended",
            "an earlier attempt began and never ended, and nothing says how far it came: look into the database, then "
            "invoke abort, and deploy again",
        ),
        (
            r"dojo: stopped half-way: (?P<name>[^\s,]+)",
            f"by the database's own table {{name}} stopped half-way; mend what it left, then {resolve_}",
        ),
        (
            r"P1002[\s\S]*advisory lock",
            "another session, perhaps one that was killed, holds the lock of migrations (P1002); who: SELECT pid, "
            "state, query_start FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'; end it "
            "with pg_terminate_backend(pid), or wait, and deploy again. Nothing was migrated",
        ),
        (r"P1002", "the database was reached and gave no answer in time (P1002). Nothing was migrated: deploy again"),
        (
            r"P3009[\s\S]*?`(?P<name>[\w.-]+)` migration",
            f"an earlier migration, {{name}}, failed half-way (P3009), and none runs before it is resolved: {resolve_}",
        ),
        (r"P3009", f"an earlier migration failed half-way (P3009): `prisma migrate status` names it; {unnamed}"),
        (
            r"P3018[\s\S]*?Migration name: (?P<name>[\w.-]+)",
            f"the migration {{name}} failed half-way (P3018); mend what it left, then {resolve_}",
        ),
        (r"P3018", f"a migration failed half-way (P3018): `prisma migrate status` names it; {unnamed}"),
        (
            r"canceling statement due to lock timeout",
            "a table was locked for longer than lock_timeout: who holds it is in pg_stat_activity; deploy again",
        ),
        (
            r"killed at its deadline",
            "killed at its deadline; the database server may go on with its last statement for a while: look into "
            "pg_stat_activity before the next attempt",
        ),
    )


def resolve(name: str) -> str:
    """What to type, once it is known in which state the migration left the schema."""
    say = "npx --no-install prisma migrate resolve"
    return f"`{say} --rolled-back {name}` (it shall run again) or `{say} --applied {name}` (finished by hand)"
