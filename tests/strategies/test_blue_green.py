"""Blue-green, switch-back and retire, as their plans read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dojo_deploy.config import inventory_from_document
from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.inventory import Inventory, Process
from dojo_deploy.plan import Plan
from dojo_deploy.release import HostSeen, Known, Observed, Release, Standby
from dojo_deploy.runs.which import earlier
from dojo_deploy.steps.connections import Connections
from dojo_deploy.steps.hooks import OnController
from dojo_deploy.strategies import BlueGreen, Hook, Migrate, Retire, Rollback, Rolling, Smoke, Workers
from tests.sites import NEW, OLD, fleet, site

BOTH = ("web1", "web2")
THIRD = Release("third-3333", "3333", "v3", sha256="ef" * 32, size=1000)


def pair() -> Inventory:
    """Two hosts, each with a process that listens and a queue worker."""
    inventory = site(2)
    processes = inventory.app.processes
    each = {**processes.each, "worker": Process(script="worker.js")}
    return replace(inventory, app=replace(inventory.app, processes=replace(processes, each=each)))


def found(inventory: Inventory, live: str = "blue", **changes: object) -> Observed:
    """OLD serves in one colour, nothing lies in the other."""
    seen = fleet(inventory)
    running = {f"{live}/web": (OLD.id,), f"{live}/worker": (OLD.id,)}
    hosts = {name: replace(one, current={live: OLD.id}, running=running) for name, one in seen.hosts.items()}
    changes = {"serving": {"blue": (), "green": (), live: BOTH}, **changes}
    return replace(seen, hosts=hosts, live=live, **changes)  # type: ignore[arg-type]


def during_standby(inventory: Inventory) -> Observed:
    """NEW serves in green, OLD stands by in blue."""
    seen = found(inventory, "green")
    current, sha = {"blue": OLD.id, "green": NEW.id}, {OLD.id: "cd" * 32, NEW.id: NEW.sha256}
    running = {"blue/web": (OLD.id,), "green/web": (NEW.id,), "green/worker": (NEW.id,)}
    hosts = {
        name: replace(one, current=current, running=running, releases=(OLD.id, NEW.id), sha256=sha)
        for name, one in seen.hosts.items()
    }
    known = (*seen.known, Known(NEW.id, NEW.commit, NEW.ref, passed="2026-02-01T00:00:00Z"))
    return replace(seen, hosts=hosts, known=known, standby=Standby("blue", OLD.id, "2026-02-02T00:00:00Z"))


def stages(plan: Plan) -> dict[str, dict[str, list[str]]]:
    return {
        stage.name: {lane.host: [step.name for step in lane.steps] for lane in stage.lanes} for stage in plan.stages
    }


def on_both(*names: str) -> dict[str, list[str]]:
    return {host: list(names) for host in BOTH}


def text_of(plan: Plan, stage: str) -> str:
    chosen = next(one for one in plan.stages if one.name == stage)
    return "\n".join(line for lane in chosen.lanes for step in lane.steps for line in step.action.preview())


def test_the_idle_colour_is_made_ready_then_switched_to_then_given_the_workers() -> None:
    inventory = pair()
    plan = BlueGreen(migrate=Migrate("npm run migrate"), smoke=(Smoke("./smoke", name="cards"),)).plan(
        inventory, NEW, found(inventory)
    )

    assert stages(plan) == {
        "prepare": on_both("stage"),
        "migrate": {"web1": ["migrate"]},
        "start": on_both("start"),
        "smoke cards": {"controller": ["smoke"]},
        "switch": {"controller": ["switch", "identity"]},
        "end workers": on_both("pause workers"),
        "begin workers": on_both("begin workers"),
        "settle": {"controller": ["settle"]},
        "watch": {**on_both("watch"), "controller": ["watch"]},
        "finish": on_both("save processes"),
    }
    assert (plan.slot, plan.standby, plan.keep_for) == ("green", Standby("blue", OLD.id), 86400.0)
    assert plan.notes == ()


@pytest.mark.parametrize(("live", "idle"), [("blue", "green"), ("green", "blue")])
def test_nothing_before_the_switch_touches_the_colour_that_serves(live: str, idle: str) -> None:
    inventory = pair()
    plan = BlueGreen(migrate=Migrate("npm run migrate")).plan(inventory, NEW, found(inventory, live))

    before = [stage.name for stage in plan.stages[: [stage.name for stage in plan.stages].index("switch")]]
    for name in before:
        text = text_of(plan, name)
        assert f"slots/{live}" not in text and f"COLOUR={live}" not in text, name
    assert f"slots/{idle}/current" in text_of(plan, "start")


def test_the_idle_colour_starts_what_listens_alone_with_its_workers_paused() -> None:
    inventory = pair()
    plan = BlueGreen().plan(inventory, NEW, found(inventory))
    start = next(step for _, _, _, step in plan.steps() if step.name == "start")
    begin = next(step for _, _, _, step in plan.steps() if step.name == "begin workers")

    assert "pm2.cjs start web" in text_of(plan, "start") and '"WORKERS": "paused"' in text_of(plan, "start")
    assert "pm2.cjs start worker" in text_of(plan, "begin workers")
    assert '"WORKERS"' not in text_of(plan, "begin workers") and '"WORKERS": "paused"' in text_of(plan, "end workers")
    assert start.gate and start.gate.target and start.gate.target.only == ("web",)
    assert begin.gate and begin.gate.target and begin.gate.target.only == ()


def test_lines_for_workers_inside_of_the_web_process_run_in_their_own_colour() -> None:
    inventory = pair()
    lines = Workers(pause="./q pause", drain="./q drain", resume="./q resume")
    plan = BlueGreen(workers=lines).plan(inventory, NEW, found(inventory))

    ends, begins = text_of(plan, "end workers"), text_of(plan, "begin workers")
    assert ends.index("./q pause") < ends.index("./q drain") < ends.index("stop worker")
    assert "COLOUR=blue" in ends and "COLOUR=green" not in ends
    assert begins.index("start worker") < begins.index("./q resume") and "COLOUR=green" in begins
    undone = {step.name: step.undo.name for _, _, _, step in plan.steps() if step.undo and "workers" in step.name}
    assert undone == {"pause workers": "resume workers", "begin workers": "pause workers"}
    hasty = BlueGreen(workers=replace(lines, within=0.2)).plan(inventory, NEW, found(inventory))
    assert "timeout -k 5 1 sh" in text_of(hasty, "end workers"), "0 would be no limit"


def test_the_switch_is_undone_before_anything_else_and_leads_to_who_served() -> None:
    inventory = pair()
    seen = found(inventory, serving={"blue": ("web2",), "green": ()})
    plan = BlueGreen().plan(inventory, NEW, seen)

    (stage,) = (stage for stage in plan.stages if stage.undone_first)
    back = stage.lanes[0].steps[0].undo
    assert stage.name == "switch" and back and back.name == "switch back"
    assert [one.host for one in back.action.to] == ["web2"]  # type: ignore[union-attr]
    assert {one.slot for one in back.action.away} == {"green"}  # type: ignore[union-attr]


def test_a_bare_fleet_gets_its_first_release_in_blue() -> None:
    inventory = pair()
    seen = replace(fleet(inventory, release=Release("")), serving={"blue": (), "green": ()})
    plan = BlueGreen(watch=0).plan(inventory, NEW, seen)

    assert list(stages(plan)) == ["prepare", "start", "restore", "begin workers", "finish"]
    assert (plan.slot, plan.standby) == ("blue", None)
    assert stages(plan)["restore"] == on_both("restore")


def test_the_record_and_the_balancer_must_agree_on_who_serves() -> None:
    inventory = pair()
    wrong = found(inventory, serving={"blue": (), "green": BOTH})

    with pytest.raises(RefusedError, match=r"by the record blue serves.*green \(web1, web2\)[\s\S]*--set live=green"):
        BlueGreen().plan(inventory, NEW, wrong)
    assert BlueGreen(live="green").plan(inventory, NEW, wrong).slot == "blue"
    for other in (Retire(), Rollback()):  # which know no `live`
        with pytest.raises(RefusedError, match="invoke deploy --strategy blue-green --set live=green"):
            other.plan(inventory, OLD, replace(wrong, standby=Standby("green", NEW.id)))
    with pytest.raises(RefusedError, match="you say green"):
        BlueGreen(live="green").plan(inventory, NEW, found(inventory))


def test_two_colours_that_serve_at_once_are_refused_whatever_is_said() -> None:
    inventory = pair()
    torn = found(inventory, serving={"blue": ("web1",), "green": ("web2",)})

    for said in ("", "blue", "green"):
        with pytest.raises(RefusedError, match=r"blue \(web1\) and green \(web2\)[\s\S]*invoke deploy"):
            BlueGreen(live=said).plan(inventory, NEW, torn)


def test_a_fleet_that_is_deployed_and_serves_nobody_is_refused() -> None:
    inventory = pair()

    with pytest.raises(RefusedError, match="sends requests to nobody"):
        BlueGreen().plan(inventory, NEW, found(inventory, serving={"blue": (), "green": ()}))


def test_without_a_balancer_that_can_switch_it_is_refused_in_words() -> None:
    inventory = site(2, balancer="none")

    with pytest.raises(RefusedError, match="a balancer that can switch"):
        BlueGreen().plan(inventory, NEW, replace(fleet(inventory), serving={}))


def test_a_deployment_during_standby_says_what_it_gives_up_and_brings_it_back_when_undone() -> None:
    inventory = pair()
    plan = BlueGreen().plan(inventory, THIRD, during_standby(inventory))

    assert "gives up the switch-back to old-1111" in " ".join(plan.notes)
    start = next(step for _, _, _, step in plan.steps() if step.name == "start")
    assert start.undo and start.undo.name == "bring back standby"
    assert OLD.id in "\n".join(start.undo.action.preview())
    assert (plan.slot, plan.standby) == ("blue", Standby("green", NEW.id))


def test_a_smoke_test_of_what_serves_is_refused() -> None:
    inventory = replace(pair(), url="https://shop.example.org")
    seen = found(inventory)

    def planned(**smoke: str) -> Plan:
        return BlueGreen(smoke=(Smoke("./smoke", **smoke),)).plan(inventory, NEW, seen)  # type: ignore[arg-type]

    shop = ("https://shop.example.org/", "https://shop.example.org:443/x")
    for url in (*shop, "http://web1:3000", "http://web2:3000/", "web2:3000/x"):
        with pytest.raises(RefusedError, match="serves users now"):
            planned(url=url)
    (step,) = (step for _, stage, _, step in planned().steps() if stage.name == "smoke 1")
    assert isinstance(step.action, OnController) and dict(step.action.command.env)["URL"] == "http://web1:3001"
    assert "URL=http://127.0.0.1:3001" in text_of(planned(on="each"), "smoke 1")
    with pytest.raises(ConfigError, match="controller, each"):
        Smoke("x", on="everywhere")


def test_a_standbys_release_is_never_pruned() -> None:
    inventory = pair()
    seen = during_standby(inventory)
    crowd = tuple(f"r{number}" for number in range(8))
    hosts = {name: replace(one, releases=(*one.releases, *crowd)) for name, one in seen.hosts.items()}
    for strategy in (BlueGreen(), Rolling()):
        plan = strategy.plan(inventory, THIRD, replace(seen, hosts=hosts))
        text = text_of(plan, "finish")
        assert "releases/r0" in text and "releases/r7" not in text and OLD.id not in text and NEW.id not in text


def test_a_rollback_during_standby_is_a_switch_and_restarts_nothing_that_listens() -> None:
    inventory = pair()
    plan = Rollback().plan(inventory, OLD, during_standby(inventory))

    assert stages(plan) == {
        "look": on_both("look"),
        "switch": {"controller": ["switch", "identity"]},
        "end workers": on_both("pause workers"),
        "begin workers": on_both("begin workers"),
        "settle": {"controller": ["settle"]},
        "finish": on_both("save processes"),
    }
    assert (plan.slot, plan.standby, plan.keep_for) == ("blue", Standby("green", NEW.id), 3600.0)
    assert all("start web" not in text_of(plan, name) for name in stages(plan))


def _lost_process(host: HostSeen) -> HostSeen:
    return replace(host, running={**host.running, "blue/web": ()})


def test_a_standby_that_is_not_up_any_more_is_rolled_back_to_in_the_live_colour() -> None:
    inventory = pair()
    seen = during_standby(inventory)
    seen = replace(seen, hosts={**seen.hosts, "web2": _lost_process(seen.hosts["web2"])})

    plan = Rollback().plan(inventory, OLD, seen)

    assert plan.slot == "green" and plan.standby is None
    assert "switch" not in stages(plan)


def test_rolling_goes_on_in_the_colour_that_serves() -> None:
    inventory = pair()
    plan = Rolling().plan(inventory, THIRD, during_standby(inventory))

    assert (plan.slot, plan.standby, plan.retires) == ("green", None, "")
    assert "slots/blue/current" not in plan.outline(commands=True)


def test_retiring_waits_for_the_last_old_connection_and_stops_the_standby_alone() -> None:
    inventory = pair()
    plan = Retire().plan(inventory, NEW, during_standby(inventory))

    assert stages(plan) == {"leave standby": {"controller": ["settle"]}, "retire": on_both("retire", "save processes")}
    assert (plan.slot, plan.retires, plan.standby) == ("green", "blue", None)
    assert "slots/green/current" not in text_of(plan, "retire")


def test_retiring_is_refused_while_what_serves_is_not_well_or_the_standby_is_another() -> None:
    inventory = pair()
    seen = during_standby(inventory)
    sick = replace(seen, hosts={**seen.hosts, "web2": replace(seen.hosts["web2"], sick="500")})
    out = replace(seen, hosts={**seen.hosts, "web1": replace(seen.hosts["web1"], drained=True)})

    for unwell, why in ((sick, "web2: 500"), (out, "web1: out of the balancer")):
        with pytest.raises(RefusedError, match=f"{why}[\\s\\S]*invoke rollback"):
            Retire().plan(inventory, NEW, unwell)
    with pytest.raises(RefusedError, match="another run has changed"):
        Retire(until="2026-01-01T00:00:00Z").plan(inventory, NEW, seen)
    with pytest.raises(RefusedError, match="nothing stands by"):
        Retire().plan(inventory, NEW, replace(seen, standby=None))


def test_the_standby_is_never_retired_while_it_serves() -> None:
    inventory = pair()
    seen = replace(during_standby(inventory), live="blue", serving={"blue": BOTH, "green": ()})

    with pytest.raises(RefusedError, match="it is what serves"):
        Retire().plan(inventory, OLD, seen)


def test_hooks_stand_around_the_switch_and_others_are_refused() -> None:
    inventory = pair()
    hooks = tuple(Hook("x", phase="switch", when=when, name=when) for when in ("before", "after"))
    names = list(stages(BlueGreen(hooks=hooks).plan(inventory, NEW, found(inventory))))

    assert names.index("before switch: before") == names.index("switch") - 1
    assert names.index("watch") < names.index("after switch: after") < names.index("finish")
    with pytest.raises(ConfigError, match="the phase 'batch', which never comes here"):
        BlueGreen(hooks=(Hook("x", phase="batch"),))
    with pytest.raises(ConfigError, match="the phase 'switch', which never comes here"):
        Rolling(hooks=(Hook("x", phase="switch"),))


@pytest.mark.parametrize(
    ("pool", "limit", "others", "fits"),
    [
        ({"web": 10, "worker": 5}, 53, 0, True),  # 2 × (10 + 5), and 2 × 10 beside them: 50; 3 are reserved
        ({"web": 10, "worker": 5}, 52, 0, False),
        ({"web": 10, "worker": 5}, 60, 8, False),
        ({"web": 10}, 43, 0, True),
        ({}, 1, 0, True),
    ],
)
def test_both_colours_connections_must_fit_into_the_database(
    pool: dict[str, int], limit: int, others: int, fits: bool
) -> None:
    inventory = pair()
    strategy = BlueGreen(connections=Connections(pool=pool, limit=limit, others=others))
    if fits:
        assert strategy.plan(inventory, NEW, found(inventory)).stages
        return
    with pytest.raises(RefusedError, match=rf"5\d database connections[\s\S]*max_connections {limit}"):
        strategy.plan(inventory, NEW, found(inventory))


def test_what_the_database_server_says_wins_over_what_is_written() -> None:
    inventory = pair()
    strategy = BlueGreen(connections=Connections(pool={"web": 10}, limit=1000, ask="./ask"))

    def planned(answer: str) -> Plan:
        return strategy.plan(inventory, NEW, found(inventory, facts={"connections": answer}))

    assert strategy.asks == {"connections": "./ask"} and BlueGreen().asks == {}
    assert planned("100|3|60").stages
    with pytest.raises(RefusedError, match="may open 40 database connections, and 37 are to be had"):
        planned("40|3|0")
    with pytest.raises(RefusedError, match="80 database connections are open, and the idle colour may open 20 more"):
        planned("100|3|80")
    with pytest.raises(RefusedError, match="three numbers"):
        planned("psql: not found")
    with pytest.raises(RefusedError, match="no process"):
        BlueGreen(connections=Connections(pool={"wbe": 1}, limit=9)).plan(inventory, NEW, found(inventory))
    with pytest.raises(ConfigError, match="what the server allows is missing"):
        Connections(pool={"web": 1})


def test_the_connections_of_what_stands_by_are_not_counted_twice() -> None:
    inventory = pair()
    strategy = BlueGreen(connections=Connections(pool={"web": 10}, ask="./ask"))
    facts = {"connections": "100|3|90"}
    assert strategy.plan(inventory, NEW, replace(during_standby(inventory), facts=facts)).stages
    with pytest.raises(RefusedError, match="90 database connections are open"):
        strategy.plan(inventory, NEW, found(inventory, facts=facts))


def in_groups(colours: dict[str, str]) -> Inventory:
    """Two hosts, each in a group of its own."""
    hosts = {"web": ["web1", "web2"], "left": ["web1"], "right": ["web2"], "lb": ["lb1"]}
    return inventory_from_document({**site(2).document, "hosts": hosts, "colours": colours})


def in_left(inventory: Inventory) -> Observed:
    seen = fleet(inventory)
    idle = replace(seen.hosts["web2"], current={}, running={}, drained=True)
    return replace(seen, hosts={**seen.hosts, "web2": idle}, serving={"blue": ("web1",), "green": ()})


def test_two_groups_as_colours_touch_each_host_in_its_own_colour_alone() -> None:
    inventory = in_groups({"blue": "left", "green": "right"})
    plan = BlueGreen().plan(inventory, NEW, in_left(inventory))

    assert stages(plan) == {
        "prepare": {"web2": ["stage"]},
        "start": {"web2": ["start"]},
        "switch": {"controller": ["switch", "identity"]},
        "end workers": {"web1": ["pause workers"]},
        "begin workers": {"web2": ["begin workers"]},
        "settle": {"controller": ["settle"]},
        "watch": {"web2": ["watch"], "controller": ["watch"]},
        "finish": {"web2": ["save processes"], "web1": ["save processes"]},
    }
    assert list(stages(Rolling(migrate=None).plan(inventory, NEW, in_left(inventory)))["prepare"]) == ["web1"]


@pytest.mark.parametrize(
    ("colours", "why"),
    [
        ({"blue": "left"}, "wants two groups like"),
        ({"blue": "left", "green": "rigth"}, 'no group "rigth"; did you mean right'),
        ({"blue": "left", "green": "web"}, "each host of the group web in one of "),
        ({"blue": "left", "green": "lb"}, "each host of the group web in one of "),
    ],
)
def test_colours_that_are_groups_must_part_the_release_group(colours: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        in_groups(colours)


def test_a_colour_whose_hosts_are_lost_is_left_all_the_same() -> None:
    inventory = in_groups({"blue": "left", "green": "right"})
    seen = in_left(inventory)
    standing = replace(seen.hosts["web1"], running={"blue/web": (OLD.id,)}, drained=True)
    known = (*seen.known, Known(NEW.id, passed="2026-02-01T00:00:00Z"))
    lost = replace(
        seen,
        hosts={"web1": standing},
        known=known,
        live="green",
        serving={"blue": (), "green": ("web2",)},
        standby=Standby("blue", OLD.id, "2026-02-02T00:00:00Z"),
    )

    plan = Rollback().plan(inventory, earlier(lost, "", ["web1", "web2"]), lost)

    assert plan.release.id == OLD.id
    assert {host for lanes in stages(plan).values() for host in lanes} == {"web1", "controller"}
    assert "web2 cannot be asked: queue workers there are not ended" in plan.notes
    assert plan.standby == Standby("green", NEW.id)
    with pytest.raises(RefusedError, match="web2 cannot be asked"):
        Rollback().plan(inventory, OLD, replace(lost, standby=None))
