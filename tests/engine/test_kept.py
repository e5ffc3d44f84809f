"""Behind a migration without a way back a failure undoes nothing that would bring an older release to users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.release import Finding, Migration, Tool
from dojo_deploy.strategies import Migrate, Rollback
from tests.engine.duo import Duo
from tests.engine.rig import Fleet
from tests.engine.tiny import GATE, NEW, OLD, Tiny

WHY = "3_drop has no way back: mend it forwards"


@pytest.fixture
def three(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, hosts=3)


def test_a_failed_gate_leaves_the_hosts_as_they_are_and_says_so(three: Fleet) -> None:
    sick = three.fault("web2", "gate")

    result = three.deploy(Tiny(contract=WHY))

    assert (result.verdict, result.exit_code) == ("kept", 30)
    assert result.reason.endswith(WHY)
    assert three.on() == {"web1": "v2", "web2": "v2 drained", "web3": "v1"}
    assert three.is_clean()
    known = three.known()
    assert (known.migrated, known.passed, "batch 2" in known.bad) == (True, "", True)
    sick.unlink()
    assert three.deploy(Tiny(contract=WHY)).verdict == "done"
    assert three.on() == dict.fromkeys(three.names, "v2")


@pytest.mark.parametrize("step", ["migrated", "hook"])
def test_what_fails_before_anything_was_migrated_is_undone_as_ever(three: Fleet, step: str) -> None:
    hook = "exit 1" if step == "hook" else "true"
    if step == "migrated":
        three.fault("web1", "migrated").write_text("77")

    result = three.deploy(Tiny(contract=WHY, hook=hook))

    assert (result.verdict, result.exit_code) == ("rolled back", 20)
    assert three.on() == dict.fromkeys(three.names, "v1")
    assert not three.known().migrated
    assert three.is_clean()


def test_a_migration_that_fails_may_be_half_done_and_nobody_says_that_all_is_as_before(three: Fleet) -> None:
    three.fault("web1", "migrated")

    result = three.deploy(Tiny(contract=WHY))

    assert (result.verdict, result.exit_code) == ("kept", 30)
    assert result.reason.endswith(WHY)
    assert three.on() == dict.fromkeys(three.names, "v1")
    assert three.known().migrated
    assert three.is_clean()


@pytest.mark.parametrize("step", ["gate", "restore"])
def test_a_host_within_max_failures_does_not_start_what_was_before_either(three: Fleet, step: str) -> None:
    three.fault("web2", step)

    result = three.deploy(Tiny(contract=WHY, max_failures=1))

    assert (result.verdict, result.exit_code) == ("tolerated", 30)
    assert three.on() == {"web1": "v2", "web2": "v2 drained", "web3": "v2"}
    assert three.is_clean()


def test_what_fails_before_a_host_is_switched_gives_it_back_as_it_was(three: Fleet) -> None:
    three.fault("web1", "count")

    result = three.deploy(Tiny(contract=WHY))

    assert (result.verdict, result.exit_code) == ("kept", 30)
    assert three.on() == dict.fromkeys(three.names, "v1")


def test_an_abort_ends_such_a_run_and_undoes_nothing_either(three: Fleet) -> None:
    three.fault("web2", "gate")
    assert three.deploy(Tiny(contract=WHY, on_failure="halt")).verdict == "halted"

    result = three.go_on(abort=True)

    assert (result.verdict, result.exit_code) == ("kept", 30)
    assert three.on() == {"web1": NEW.id, "web2": "v2 drained", "web3": "v1"}
    assert three.is_clean()
    assert three.known().migrated


DROP = Migration("migrations/3_drop.sql", "ab", (Finding(1, "data loss", "column cards.name is gone"),))
THIRD = replace(NEW, sha256="ab", migrations=(DROP,), tool=Tool("x"))


@pytest.mark.parametrize(("fault", "sent"), [("ill", "green"), ("sick", "blue")])
def test_a_colour_that_fails_behind_a_contract_is_not_switched_away_from(tmp_path: Path, fault: str, sent: str) -> None:
    duo = Duo(tmp_path)
    (duo.base / "web1" / fault).touch()
    settings = Migrate('echo x >> "$SHARED_DIR/../migrated"', allow_contract=True, reason="nobody reads it")

    result = duo.bring(THIRD, migrate=settings)

    assert (result.verdict, result.exit_code) == ("kept", 30), result.reason
    assert "3_drop.sql has no way back" in result.reason
    assert (duo.sent(), duo.standby()[0]) == (sent, sent)
    assert duo.is_clean()
    assert (duo.known().migrated, duo.known().migrations) == (True, (DROP,))
    with pytest.raises(RefusedError, match="v1 cannot run on the schema"):
        duo.deploy(Rollback(gate=GATE), replace(OLD, tool=Tool("x")))
