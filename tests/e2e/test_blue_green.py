"""Blue-green over SSH, PM2 and nginx: there, back, there again; what is wrong with a release, and who serves then."""

from __future__ import annotations

import json
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dojo_deploy import app
from dojo_deploy.engine.ledger import set_live
from dojo_deploy.errors import RefusedError
from dojo_deploy.events import Event, StageStarted, StepFinished, UndoStarted
from dojo_deploy.plan import Plan
from dojo_deploy.session import opened
from tests.e2e.colours import HASTE, OTHER, Colours, without_loss
from tests.e2e.looking import Watched, pm2_names, variant
from tests.e2e.test_rolling import jobs_done_or_waiting

AT_LEAST = 1500


def test_there_and_back_by_one_command_and_no_request_is_lost(pair: Colours) -> None:
    pair.alone("v1")
    live, first = pair.record.live, pair.release("v1")

    jobs, workers, look = jobs_done_or_waiting(pair), {}, partial(who_works, pair)
    there = pair.bring("v2", probe=350, at_least=AT_LEAST, watching=lambda event: look(event, workers))

    second = there.result.release
    without_loss(there, at_least=AT_LEAST)
    pair.stand(OTHER[live], second, standby=first)
    old, new = ({f"{pair.site.scope}-{slot}-worker"} for slot in (live, OTHER[live]))
    assert workers == {"switch": old, "end workers": old, "begin workers": set(), "watch": new}
    assert jobs_done_or_waiting(pair) == jobs + len(workers), "every job is waiting or done, once"
    assert {one["workers"] for one in pair.health(OTHER[live]).values()} == {"paused"}

    typed = time.monotonic()
    process = pair.invoke("rollback", "--json")
    took = time.monotonic() - typed

    assert process.returncode == 0, process.stderr
    *events, ended = [json.loads(line) for line in process.stdout.splitlines()][1:]
    assert [one["stage"] for one in events if one["event"] == "StageFinished"] == ["look", "switch"]
    load = next(one for one in events if one["event"] == "LoadMeasured")
    assert (load["failures"], load["requests"] > 50) == (0, True), load
    left = ["end workers", "begin workers", "settle", "finish"]
    assert (events[-1]["event"], events[-1]["release"], events[-1]["left"]) == ("UsersServed", first, left)
    assert ended == {"verdict": "served", "left": left, "exit_code": 0}
    entry = app.holder(pair.inventory)
    assert entry and (entry.state, entry.open) == ("held", events[0]["run"]), "the rest goes on without the command"
    # Alone it takes 1.6 s, and `status` 1.0: what both begin with takes longer on a busy machine.
    typed = time.monotonic()
    assert pair.invoke("status").returncode == 0
    assert took < 2.0 * max(1.0, 1.5 * (time.monotonic() - typed))
    pair.at_rest()
    newest = app.history(pair.inventory)[0]
    assert (newest["strategy"], newest["verdict"]) == ("rollback", "done"), newest
    pair.stand(live, first, standby=second)
    assert next(known for known in app.releases(pair.inventory) if known.id == second).bad


def who_works(fleet: Colours, event: Event, found: dict[str, set[str]]) -> None:
    """Which workers there are as each of these stages begins; each time there is one more job for them."""
    if isinstance(event, StageStarted) and event.stage in ("switch", "end workers", "begin workers", "watch"):
        jobs_done_or_waiting(fleet, put=True)
        found[event.stage] = {name for names in pm2_names(fleet.site).values() for name in names if "worker" in name}


@pytest.mark.soak
def test_there_back_and_there_again_under_a_long_load(pair: Colours) -> None:
    pair.alone("v1")
    live, first = pair.record.live, pair.release("v1")
    for _ in range(2):
        there = pair.bring("v2", probe=400, at_least=5000)
        without_loss(there, at_least=5000)
        pair.stand(OTHER[live], there.result.release, standby=first)
        back = pair.back(probe=400, at_least=5000)
        without_loss(back, at_least=5000)
        pair.stand(live, first, standby=there.result.release)


@pytest.mark.soak
def test_a_release_that_answers_500_never_gets_a_request(pair: Colours) -> None:
    ref = pair.alone("v1", "v2")
    live = pair.record.live

    watched = pair.bring("v3", probe=350, at_least=AT_LEAST, gate__grace="1s", gate__within="5s")

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert watched.result.exit_code == 20 and "(500," in watched.output
    assert not [event for event in watched.of(StageStarted) if event.stage == "switch"]
    pair.stand(live, pair.release(ref))


@pytest.mark.soak
def test_a_release_that_never_listens_never_gets_a_request(pair: Colours) -> None:
    ref = pair.alone("v1", "v2")
    live = pair.record.live

    watched = pair.bring("v5", probe=350, at_least=AT_LEAST, gate__grace="1s", gate__within="5s")

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert watched.result.exit_code == 20 and "refused" in watched.output
    pair.stand(live, pair.release(ref))


@pytest.mark.soak
def test_a_release_that_claims_to_be_another_is_switched_back_from_at_once(pair: Colours) -> None:
    """Its own gate is told to look at the processes alone: what users get is asked all the same."""
    ref = pair.alone("v1", "v2")
    live = pair.record.live

    watched = pair.bring("v6", probe=350, at_least=AT_LEAST, gate__probes="[release]")

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert watched.result.exit_code == 20 and "by release wrong" in watched.output
    undone = [event for event in watched.of(StepFinished) if event.step.endswith("~undo")]
    assert undone[0].name == "switch back"
    pair.stand(live, pair.release(ref))


@pytest.mark.soak
def test_a_smoke_test_of_the_idle_colour_that_fails_ends_it(pair: Colours) -> None:
    ref = pair.alone("v1", "v2")
    live, idle = pair.record.live, OTHER[pair.record.live]
    address = pair.site.backends(idle)[0].address
    new = "v2" if ref == "v1" else "v1"
    smoke = json.dumps([{"name": "cards", "run": 'echo "asked $URL"; curl -fsS "$URL/no-such-page"'}])

    watched = pair.bring(new, probe=350, at_least=AT_LEAST, smoke=smoke)

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert f"asked http://{address}" in watched.output and "404" in watched.output
    assert watched.result.exit_code == 20 and "smoke cards" in watched.result.reason
    pair.stand(live, pair.release(ref))


def test_what_goes_wrong_within_the_watch_window_is_switched_back_from(pair: Colours, tmp_path: Path) -> None:
    ref = pair.alone("v1", "v2")
    live, idle = pair.record.live, OTHER[pair.record.live]
    tripped = tmp_path / "tripped"

    def with_probe(document: dict[str, Any]) -> None:
        line = f'[ "$COLOUR" != {idle} ] || [ ! -e {tripped} ]'
        document["probes"]["trip"] = {"kind": "command", "run": line}

    mine = Colours(variant(pair, tmp_path / "inventories" / "sandbox.yml", with_probe).inventory)

    def trip(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "watch":
            tripped.touch()

    watched = mine.bring(
        "v2" if ref == "v1" else "v1",
        probe=350,
        at_least=AT_LEAST,
        watching=trip,
        gate__probes="[release, health, trip]",
        gate__grace="10s",
        watch="10s",
    )

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert watched.result.exit_code == 20 and "watch" in watched.result.reason and "trip" in watched.output
    assert names_after_failure(watched)[:1] == ["switch back"]
    pair.stand(live, pair.release(ref))


def names_after_failure(watched: Watched) -> list[str]:
    first = next(number for number, event in enumerate(watched.events) if isinstance(event, UndoStarted))
    return [event.name for event in watched.events[first:] if isinstance(event, StepFinished)]


def test_a_switch_that_nginx_reports_and_does_not_make_is_noticed_and_undone(pair: Colours, tmp_path: Path) -> None:
    """Its configuration is fine, the reload ends 0, and the old one goes on: one of its addresses is taken."""
    ref = pair.alone("v1", "v2")
    live = pair.record.live

    def impatient(document: dict[str, Any]) -> None:
        document["balancer"]["effect_within"] = "1s"

    mine = Colours(variant(pair, tmp_path / "inventories" / "sandbox.yml", impatient).inventory)
    extra = Path(pair.site.document["balancer"]["include"]) / "taken.conf"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"server {{ listen 127.0.0.1:{taken.getsockname()[1]}; }}\n"

        def take(event: Event) -> None:
            if isinstance(event, StageStarted) and event.stage == "switch":
                extra.write_text(text)

        try:
            watched = mine.bring("v2" if ref == "v1" else "v1", probe=350, at_least=AT_LEAST, watching=take)
        finally:
            extra.unlink(missing_ok=True)

    without_loss(watched, at_least=AT_LEAST, verdict="rolled back")
    assert watched.result.exit_code == 20
    assert "not in effect" in watched.result.reason and "in use" in watched.result.reason
    assert set(watched.result.load.answers) == {pair.release(ref)} if watched.result.load else False
    pair.stand(live, pair.release(ref))


def test_rolling_goes_on_in_the_live_colour_and_blue_green_after_it(pair: Colours) -> None:
    ref = pair.serving("v1", "v2")
    new = "v2" if ref == "v1" else "v1"
    live, standby = pair.record.live, pair.record.standby

    rolled = pair.deploy(new, overrides={"prove": "off", "batches": '["50%"]', "gate.in_a_row": "1"})

    assert (rolled.verdict, rolled.plan and rolled.plan.slot) == ("done", live)
    pair.stand(live, rolled.release, standby=standby.release if standby else "")
    assert app.retire(pair.inventory).verdict == "nothing to do"
    told = pair.invoke("retire", "--dry-run")
    wanted = f"{standby.release} stands by in {standby.slot} until" if standby else "nothing stands by"
    assert told.returncode == 0 and told.stdout.startswith(wanted) and len(told.stdout.splitlines()) == 1
    assert app.retire(pair.inventory, now=True).verdict == ("done" if standby else "nothing to do")
    pair.stand(live, rolled.release)


def test_a_record_that_disagrees_with_the_balancer_stops_the_run(pair: Colours) -> None:
    pair.alone("v1", "v2")
    live = pair.record.live
    nothing = pair.invoke("retire")
    assert (nothing.returncode, nothing.stdout.strip()) == (0, "nothing stands by")
    with opened(pair.site) as session:
        set_live(session.store, OTHER[live], None)
    try:
        with pytest.raises(RefusedError, match=f"by the record {OTHER[live]} serves.*{live} \\(web1, web2\\)"):
            pair.bring("v1")
        ended = pair.invoke("deploy", "--strategy", "blue-green", "--ref", "v1")
        assert ended.returncode == 10 and f"--set live={live}" in ended.stderr
        assert app.status(pair.inventory).live == live, "what is told is the balancer's word"
    finally:
        with opened(pair.site) as session:
            set_live(session.store, live, None)


ASK = """node -e "
const {Client} = require('pg');
const client = new Client({connectionString: process.env.DATABASE_URL});
const asked = \\`SELECT current_setting('max_connections') AS a, current_setting('superuser_reserved_connections') AS b,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS c\\`;
client.connect().then(() => client.query(asked)).then(({rows}) => {
  console.log(Object.values(rows[0]).join(' ')); return client.end(); });"
"""


def test_connections_are_counted_against_what_the_database_server_allows(pair: Colours) -> None:
    pair.serving("v1", "v2")

    def planned(size: int) -> Plan:
        values = {**HASTE, "connections": json.dumps({"pool": {"web": size, "worker": 1}, "ask": ASK})}
        return app.plan(pair.inventory, "blue-green", ref="v1", overrides=values)

    assert planned(2).stages
    with pytest.raises(RefusedError, match=r"may open \d{4} database connections, and \d{2,3} are to be had"):
        planned(1000)
