"""Past a contract nothing goes back by itself, and nobody goes forward over one without something to fall back on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.databases.postgres import Postgres
from dojo_deploy.engine import ledger
from dojo_deploy.engine.packed import kept
from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Inventory
from dojo_deploy.plan import Plan
from dojo_deploy.release import Finding, HostSeen, Known, Migration, Observed, Release, Standby, Tool
from dojo_deploy.steps import migrated
from dojo_deploy.steps.judged import PROOF
from dojo_deploy.strategies import BlueGreen, Migrate, Rollback, Rolling
from dojo_deploy.strategies.restore import Found, Names, Restore
from tests.sites import NEW, OLD, fleet, site

FIRST = Migration("prisma/migrations/1_cards/migration.sql", "a" * 64)
EXPAND = Migration("prisma/migrations/2_rarity/migration.sql", "b" * 64, (Finding(1, "blocking", "writes wait"),))
DROP = Migration("prisma/migrations/3_drop/migration.sql", "c" * 64, (Finding(2, "data loss", "column cards.name"),))
TOOL = Tool("npx prisma migrate deploy")
DATABASE = {"kind": "postgres", "name": "tcgdojo", "host": "web1"}


class Fronted(NoBalancer):
    can_drain = True


def after(*newer: Migration, inventory: Inventory | None = None, known_by: str = "table", **changes: Any) -> Observed:
    """NEW serves, and came with `newer` over what OLD has. `known_by`: the database's own table, or the record."""
    both = {"releases": (OLD.id, NEW.id)}
    seen = fleet(inventory or site(2), release=NEW, web1=both, web2=both)
    moment = "2026-01-0{}T00:00:00Z"
    old = Known(OLD.id, OLD.commit, OLD.ref, passed=moment.format(1), migrations=(FIRST,), tool=TOOL, migrated=True)
    new = replace(old, id=NEW.id, ref=NEW.ref, passed=moment.format(2), migrations=kept((FIRST, *newer)))
    names = "\n".join(one.name.split("/")[2] for one in (FIRST, *newer))
    files = "\n".join(f"{one.sha256}  {one.name}" for one in (FIRST, *newer))
    said = f"# lock by pg\n# tool prisma\n# table read\n{names}"
    facts = {migrated.SERVING: files, migrated.DATABASE: said if known_by == "table" else "# table unknown"}
    return replace(seen, known=(old, new), facts=facts, **changes)


def target(seen: Observed) -> Release:
    from dojo_deploy.runs.which import earlier

    return earlier(seen, OLD.id, ())


@pytest.mark.parametrize("known_by", ["table", "record"])
def test_a_rollback_past_a_contract_is_refused_with_its_options(known_by: str) -> None:
    seen = after(EXPAND, DROP, known_by=known_by)

    with pytest.raises(RefusedError) as refused:
        Rollback().plan(site(2), target(seen), seen)

    said = str(refused.value)
    assert refused.value.exit_code == 10
    assert f"{OLD.id} cannot run on the schema as it is: the database has seen\n3_drop:2: data loss" in said
    assert all(option in said for option in ("invoke deploy", "invoke backup.restore", "--allow-contract --reason"))
    with pytest.raises(RefusedError, match="cannot run on the schema"):
        Rollback(allow_contract=True).plan(site(2), target(seen), seen)
    allowed = Rollback(allow_contract=True, reason="nobody reads it").plan(site(2), target(seen), seen)
    assert "past a contract, because: nobody reads it: 3_drop" in allowed.notes


@pytest.mark.parametrize("known_by", ["table", "record"])
def test_a_rollback_past_what_only_expands_goes_through_and_says_so(known_by: str) -> None:
    seen = after(EXPAND, known_by=known_by)

    plan = Rollback().plan(site(2), target(seen), seen)

    assert plan.notes[0] == f"the schema stays ahead of {OLD.id}, which can live with it: 2_rarity"
    assert plan.contract == ""


def test_a_switch_back_is_refused_as_well() -> None:
    inventory = site(2)
    both = {"current": {"blue": OLD.id, "green": NEW.id}, "releases": (OLD.id, NEW.id),
            "running": {"blue/web": (OLD.id,), "green/web": (NEW.id,)}}  # fmt: skip
    hosts = {name: HostSeen(name, **both) for name in ("web1", "web2")}  # type: ignore[arg-type]
    names = tuple(hosts)
    more = {"hosts": hosts, "live": "green", "standby": Standby("blue", OLD.id), "serving": {"green": names}}

    fine = Rollback().plan(inventory, OLD, after(EXPAND, **more))
    assert [stage.name for stage in fine.stages][:2] == ["look", "switch"]
    seen = after(DROP, **more)
    with pytest.raises(RefusedError, match="cannot run on the schema"):
        Rollback().plan(inventory, target(seen), seen)


def test_a_release_whose_migrations_nobody_knows_is_told_and_asked_for() -> None:
    seen = after(DROP)
    seen = replace(seen, known=seen.known[1:])
    unknown = Release(OLD.id)

    assert migrated.LYING in Rollback().asks(seen)
    assert "nobody knows which migrations" in Rollback().plan(site(2), unknown, seen).notes[0]
    lying = replace(seen, facts={**seen.facts, migrated.LYING: f"{OLD.id} {FIRST.name}\n{NEW.id} {DROP.name}"})
    with pytest.raises(RefusedError, match="3_drop:2"):
        Rollback().plan(site(2), unknown, lying)


def test_a_release_that_needs_what_the_database_lacks_is_no_way_either() -> None:
    seen = after(EXPAND)
    ahead = Release("ahead", "3333", migrations=(FIRST, EXPAND, DROP), tool=TOOL)

    with pytest.raises(RefusedError, match=r"has not seen 3_drop[\s\S]*invoke deploy --ref 3333"):
        Rollback().plan(site(2), ahead, seen)


def test_an_older_commit_that_is_deployed_is_judged_like_a_rollback() -> None:
    seen = after(DROP)
    old = replace(NEW, id="again", migrations=(FIRST,), tool=TOOL)

    with pytest.raises(RefusedError, match="again cannot run on the schema"):
        Rolling(migrate=Migrate(TOOL.run)).plan(site(2), old, seen)


def test_what_was_never_migrated_is_not_asked_for() -> None:
    assert Rollback().asks(fleet(site(1))) == {}


def test_a_contract_needs_a_proven_backup_or_where_there_can_be_none_a_reason() -> None:
    own, without = site(2, database=DATABASE), site(2)
    release = replace(NEW, id="next", migrations=(FIRST, EXPAND, DROP), tool=TOOL)
    seen = after(EXPAND)

    def planned(inventory: Inventory, proof: str | None = None, **keys: Any) -> tuple[str, ...]:
        facts = seen.facts if proof is None else {**seen.facts, PROOF: proof}
        return Rolling(migrate=Migrate(TOOL.run, **keys)).plan(inventory, release, replace(seen, facts=facts)).notes

    with pytest.raises(RefusedError, match="--allow-contract and a backup younger than 24 hours that a drill"):
        planned(own)
    with pytest.raises(
        RefusedError, match=r"no backup younger than 24 hours was proven[\s\S]*backup.create backup.drill"
    ):
        planned(own, "", allow_contract=True, reason="in a hurry")
    with pytest.raises(RefusedError, match=r"has no `database:`[\s\S]*--allow-contract --reason"):
        planned(without, allow_contract=True)
    assert "to fall back on: the proven backup B1, 2.0 hours old" in planned(own, "B1 7200", allow_contract=True)
    told = planned(without, allow_contract=True, reason="the column is empty")
    assert "nothing of ours to fall back on, allowed because: the column is empty" in told


@pytest.mark.parametrize("kind", [Rolling, BlueGreen])
def test_behind_a_contract_no_lane_goes_back(kind: type[Rolling | BlueGreen]) -> None:
    release = replace(NEW, id="next", sha256="ab" * 32, migrations=(FIRST, EXPAND, DROP), tool=TOOL)
    seen = after(EXPAND, serving={"blue": ("web1", "web2")})
    settings = Migrate(TOOL.run, allow_contract=True, reason="x")

    plan = kind(migrate=settings).plan(site(2), release, seen)
    mild = kind(migrate=settings).plan(site(2), replace(release, migrations=(FIRST, EXPAND)), seen)

    assert {step.name for _, _, _, step in plan.steps() if step.no_way_back} == {"switch"}
    assert "3_drop has no way back" in plan.contract
    assert (mild.contract, [step for _, _, _, step in mild.steps() if step.no_way_back]) == ("", [])


def test_the_header_of_a_run_keeps_what_its_plan_was_made_from() -> None:
    seen = after(EXPAND, DROP)
    data = json.loads(json.dumps([ledger.observed_as_dict(seen), ledger.release_as_dict(target(seen))]))

    assert ledger.observed_from_dict(data[0]) == replace(seen, facts=dict(seen.facts))
    assert ledger.release_from_dict(data[1]) == target(seen)
    assert len(data[0]["migrations"]) == 3


def restored(seen: Observed, *rows: dict[str, Any], **found: Any) -> Plan:
    chosen = Restore(found=Found(backup="b1", migrations=rows, **found), names=Names("new", "old"))
    return chosen.plan(replace(site(2), database=Postgres("tcgdojo", host="web1")), OLD, seen)


def test_a_restore_knows_a_newer_schema_by_the_record_and_calls_it_by_its_name() -> None:
    row = {"id": "3f0b", "checksum": "a" * 64, "finished_at": "2026-11-01", "migration_name": "3_drop"}
    taken_back = {**row, "migration_name": "2_tried", "rolled_back_at": "2026-11-01"}
    squashed = {**row, "migration_name": "0_before_all"}
    older = replace(after(DROP), facts=after().facts)
    with pytest.raises(RefusedError, match=r"does not know: 3_drop\n"):
        restored(older, row)
    assert not [note for note in restored(after(DROP), row, taken_back).notes if "migrations" in note or "2_tr" in note]
    assert "of no release that is known here: 0_before_all" in "; ".join(restored(older, squashed).notes)
    assert "nobody knows whether" in "; ".join(restored(replace(older, facts={}), row).notes)


def test_a_restore_asks_nothing_of_the_database_which_may_be_what_is_broken() -> None:
    line = "npx --no-install prisma migrate deploy"
    assert list(Restore(migrate=Migrate(run=line, applied="psql -Atc 'select name from m'")).asks) == [migrated.SERVING]


def test_a_restore_leaves_a_site_in_maintenance_in_maintenance() -> None:
    fronted = replace(site(2), balancer=Fronted(), database=Postgres("tcgdojo", host="web1"))
    names = {}
    for closed in (False, True):
        chosen = Restore(found=Found(backup="b1", closed=closed), names=Names("new", "old"))
        plan = chosen.plan(fronted, OLD, after(inventory=fronted))
        names[closed] = {stage.name for stage in plan.stages}
        assert any("stays so" in note for note in plan.notes) is closed
    assert names[False] - names[True] == {"close", "open"}
